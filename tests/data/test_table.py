import gzip

import numpy as np
import pytest

from jaxtrain.data import read_table
from jaxtrain.errors import ConfigError, DataError


def table(tmp_path, text, **options):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return read_table(path, **options)


def test_header_blanks_quotes_and_empty_lines(tmp_path):
    subject = table(tmp_path, 'a, b\n\n1,  "x, y" \n   \n2,z\n\n')
    assert subject.columns == ("a", "b")
    assert subject.rows == [["1", "x, y"], ["2", "z"]]
    assert subject.lines == [3, 5]
    assert subject.column("b") == ["x, y", "z"]
    assert subject.place(1, "b").endswith("t.csv:5: column 'b'")


def test_given_columns_mean_no_header(tmp_path):
    assert table(tmp_path, "1,2\n", columns=("a", "b")).rows == [["1", "2"]]


def test_gzip_and_byte_order_mark(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress("\ufeffa\n1\n".encode()))
    assert read_table(path).columns == ("a",)


def test_select(tmp_path):
    chosen = table(tmp_path, "a\n1\n2\n3\n").select(np.array([2, 0]))
    assert (chosen.rows, chosen.lines, len(chosen)) == ([["3"], ["1"]], [4, 2], 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"t\.csv:3: expected 2 cells \(a to b\), found 1"),
        ("a,b\n1,2,3\n", r"t\.csv:2: expected 2 cells \(a to b\), found 3"),
        ("a,b,a\n1,2,3\n", "named more than once: a"),
        ("a,b\n", "at least one row"),
        ("", "at least one row"),
        ("a\n" + "x" * 200_000, "not CSV: field larger"),
    ],
)
def test_broken_tables(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        table(tmp_path, text)


def test_not_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"not UTF-8 text: .* at byte 2"):
        read_table(path)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxtrain.data.table._LARGEST", 1000)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 500))
    with pytest.raises(DataError, match="larger than the 1,000 bytes"):
        read_table(path)


def test_an_unknown_column_has_a_neighbour(tmp_path):
    with pytest.raises(ConfigError, match=r"no column 'agee'; did you mean 'age'\? .*age, sex"):
        table(tmp_path, "age,sex\n1,2\n").column("agee")
