from __future__ import annotations

import json
from pathlib import Path

import pytest

from jaxtrain.data.text.records import Record, holds_records, records
from jaxtrain.errors import ConfigError, DataError


@pytest.fixture
def read(tmp_path):
    def read(name, text, columns=()):
        path = tmp_path / name
        path.write_bytes(text.encode(errors="surrogatepass"))
        return [(one.place.split("/")[-1], dict(one.values)) for one in records(path, columns)]

    return read


def test_lines_of_json(read):
    text = '{"a": "x\\ny", "b": [1]}\r\n\n  {"a": 2}\n'
    assert read("r.jsonl", text) == [
        ("r.jsonl, line 1", {"a": "x\ny", "b": [1]}),
        ("r.jsonl, line 3", {"a": 2}),
    ]
    with pytest.raises(ConfigError, match=r"data\.columns: .* names its fields itself"):
        read("r.jsonl", text, ("a",))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object, found a list"),
        ("null", "expected an object, found null"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_a_line_that_is_no_record(read, line, why):
    with pytest.raises(DataError, match=rf"r\.jsonl, line 2: {why}"):
        read("r.jsonl", '{"a": 1}\n' + line)


def test_tables_with_tabs_have_no_quotes(read):
    text = 'a\tb\r\n"x\ty"\r\n\n1\t\r\n'
    assert read("t.tsv", text) == [
        ("t.tsv, line 2", {"a": '"x', "b": 'y"'}),
        ("t.tsv, line 4", {"a": "1", "b": ""}),
    ]


def test_tables_with_commas_have_quotes(read):
    text = 'a,b\n"x,\r\n""y""",z\n\n1,2\n'
    assert read("t.csv", text) == [
        ("t.csv, line 2", {"a": 'x,\r\n"y"', "b": "z"}),
        ("t.csv, line 5", {"a": "1", "b": "2"}),
    ]
    assert read("t.csv", "1,2\n", ("a", "b")) == [("t.csv, line 1", {"a": "1", "b": "2"})]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("t.tsv", "a\tb\n1\t2\t3\n", r"line 2: expected 2 cells \(a, b\), found 3"),
        ("t.csv", "a,b\n1\n", "line 2: expected 2 cells"),
        ("t.csv", 'a,b\n"1,2\n', "line 2: not a row of a table"),
        ("t.csv", 'a,b\n"1"x,2\n', "line 2: not a row of a table"),
        ("t.csv", "a,b\n" + "x" * 200_000 + ",2\n", "line 2: not a row of a table"),
    ],
)
def test_rows_that_are_none(read, name, text, why):
    with pytest.raises(DataError, match=why):
        read(name, text)


def test_two_columns_of_one_name(read):
    with pytest.raises(ConfigError, match=r"two columns are called 'a'; name them by data\.col"):
        read("t.csv", "a,b,a\n1,2,3\n")


def test_what_a_record_holds():
    record = Record("f, line 3", {"text": "x", "n": 4, "yes": True, "all": ["a", "b"], "odd": [1]})
    assert (record.cell("text"), record.cell("n")) == ("x", "4")
    assert record.cells("all") == ("a", "b")
    assert Record("f", {"x": "a\n\nb"}).cells("x") == ("a", "b")
    with pytest.raises(ConfigError, match=r"f, line 3: has no 'txt'; did you mean 'text'\?"):
        record.cell("txt")
    with pytest.raises(DataError, match=r"'yes': expected text, found a bool \(True\)"):
        record.cell("yes")
    with pytest.raises(DataError, match="'all': expected text, found a list"):
        record.cell("all")
    for wrong in ("odd", "n"):
        with pytest.raises(DataError, match=f"'{wrong}': expected a list of texts, or lines"):
            record.cells(wrong)


def test_which_files_hold_records():
    names = ["a.jsonl", "a.csv.gz", "a.tsv", "a.txt", "a.txt.gz", "a", "csv", "a.json"]
    found = [name for name in names if holds_records(Path(name))]
    assert found == ["a.jsonl", "a.csv.gz", "a.tsv"]


@pytest.mark.parametrize(
    ("name", "columns", "count", "keys"),
    [
        ("kobest/HellaSwag_train.tsv.gz", (), 2029, {"context", "choice1", "label"}),
        ("kobest/COPA_train.tsv.gz", (), 3076, {"ID", "sentence", "1", "Answer"}),
        ("nsmc/nsmc_sample.tsv", (), 18_000, {"id", "document", "label"}),
        ("medmcqa/medmcqa_validation.jsonl.gz", (), 4183, {"question", "options", "answer"}),
        ("mmlu_medical/test/professional_medicine_test.csv", tuple("qABCDa"), 282, {*"qABCDa"}),
    ],
)
def test_real_files(shared_data, name, columns, count, keys):
    found = list(records(shared_data / name, columns))
    assert len(found) == count
    assert keys <= found[-1].values.keys()
    json.dumps([dict(one.values) for one in found])
