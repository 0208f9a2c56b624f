"""Lines of metrics.jsonl: added whole, read whatever lies there, taken back exactly."""

from __future__ import annotations

import json
import logging
import math

import pytest

from jaxtrain.tracking import append_row, is_behind, is_count, read_rows, rewind


def test_what_json_lacks_is_null(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_row(path, {"a": math.nan, "b": -math.inf, "c": 1.5, "d": "x"})
    assert path.read_bytes() == b'{"a": null, "b": null, "c": 1.5, "d": "x"}\n'


def test_only_rows_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\nnot json\n[1]\n\xff\n{"a": NaN}\n{"a": 2}\n{"a": 3')
    assert read_rows(path) == ([{"a": 1}, {"a": 2}], 5)


def test_taken_back_are_the_rows_that_come_again(tmp_path, caplog):
    path = tmp_path / "rows.jsonl"
    for number in range(1, 6):
        append_row(path, {"n": number})
    before = path.read_bytes().splitlines(keepends=True)
    assert rewind(path, lambda row: row["n"] <= 3) == [{"n": 4}, {"n": 5}]
    assert path.read_bytes() == b"".join(before[:3])
    assert not caplog.records


def test_nothing_to_take_back_touches_nothing(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert rewind(path, lambda row: False) == []
    assert not path.exists()
    append_row(path, {"n": 1})
    inode = path.stat().st_ino
    rewind(path, lambda row: True)
    assert path.stat().st_ino == inode


def test_what_is_no_row_goes_with_a_word(tmp_path, caplog):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n": 1}\n{"m": 2}\n{"n": 3')
    with caplog.at_level(logging.WARNING):
        assert rewind(path, lambda row: True, belongs=lambda row: "n" in row, needed="n") == []
    assert json.loads(path.read_bytes()) == {"n": 1}
    assert "1 lines that are not JSON objects and 1 lines that do not say n" in caplog.text


@pytest.mark.parametrize(
    ("row", "behind"),
    [((10, 1), True), ((11, 1), False), ((10, 2), False), ((0, 0), True)],
)
def test_what_is_behind_a_run_of_ten_iterations_and_one_epoch(row, behind):
    assert is_behind({"iteration": row[0], "epoch": row[1]}, 10, 1) is behind


def test_counts():
    assert [v for v in (0, 1, 2**63, True, 1.0, "1", None) if is_count(v)] == [1]
    assert is_count(0, 0)
