"""Lines of metrics.jsonl: added whole, read whatever lies there, taken back exactly."""

from __future__ import annotations

import json
import logging
import math

import pytest

from jaxtrain.tracking import Place, append_row, is_count, read_rows, rewind
from jaxtrain.tracking.rows import mend


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


HERE = Place(iteration=10, epoch=2, done=1)


@pytest.mark.parametrize(
    ("at", "again"),
    [
        ({"iteration": 10, "epoch": 2, "done": 1}, False),
        ({"iteration": 11, "epoch": 2, "done": 1}, True),
        ({"iteration": 10, "epoch": 3, "done": 1}, True),  # the next epoch has begun
        ({"iteration": 10, "epoch": 2, "done": 2}, True),  # this one is over
        ({"iteration": 0, "epoch": 0, "done": 0}, False),
        ({"iteration": 5, "epoch": 1, "done": 1, "ended": True}, True),
        ({"iteration": 99, "epoch": 9, "done": 9, "engine": 1}, False),  # another's
        (None, False),  # a script's
        ({"iteration": "11", "epoch": 2, "done": 1}, False),
        ({"iteration": 11, "epoch": 2}, False),
    ],
)
def test_what_comes_again_when_a_run_goes_on(at, again):
    assert HERE.comes_again({"at": at} if at else {}) is again


def test_a_place_as_json_says_no_more_than_it_must():
    assert HERE.to_json() == {"iteration": 10, "epoch": 2, "done": 1}
    assert Place(1, 1, 0, engine=2, ended=True).to_json() == {
        "iteration": 1,
        "epoch": 1,
        "done": 0,
        "engine": 2,
        "ended": True,
    }


def test_a_torn_tail_is_cut_off_with_a_word(tmp_path, caplog):
    path = tmp_path / "rows.jsonl"
    mend(path)
    assert not path.exists()
    path.write_bytes(b'{"a": 1}\n')
    inode = path.stat().st_ino
    mend(path)
    assert path.stat().st_ino == inode
    assert not caplog.records
    path.write_bytes(b'{"a": 1}\n{"a": 2')
    mend(path)
    assert path.read_bytes() == b'{"a": 1}\n'
    assert "a torn last line of 7 bytes" in caplog.text
    path.write_bytes(b'{"a"')
    mend(path)
    assert path.read_bytes() == b""


def test_counts():
    assert [v for v in (0, 1, 2**63, True, 1.0, "1", None) if is_count(v)] == [1]
    assert is_count(0, 0)
