"""Rows as series: names, order, and a file that is rewritten under the reader."""

from __future__ import annotations

import json
import math
import os

import pytest

from jaxtrain.tracking.mlflow.series import Point, Tail, series_key, stored


@pytest.fixture
def file(tmp_path):
    return tmp_path / "metrics.jsonl"


def log(step, **figures):
    return {"event": "log", "epoch": 0, "iteration": step, "step": step, **figures}


def write(file, *rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def add(file, *rows):
    with file.open("a") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("event", "axis", "of_a_script", "of_a_training"),
    [
        ("iteration", None, "step/loss", "step/loss"),
        ("epoch", None, "epoch/loss", "loss"),
        ("log", None, "loss", "log/loss"),
        ("log", "step", "loss", "log/loss"),
        ("log", "tokens", "axis/tokens/loss", "axis/tokens/loss"),
    ],
)
def test_each_event_and_axis_has_its_names(event, axis, of_a_script, of_a_training):
    row = {"event": event, **({} if axis is None else {"axis": axis})}
    assert series_key(row, "loss", is_script=True) == of_a_script
    assert series_key(row, "loss", is_script=False) == of_a_training


@pytest.mark.parametrize("is_script", [True, False])
def test_no_two_series_have_one_name(is_script):
    rows = [{"event": event} for event in ("iteration", "epoch", "log")]
    axes = ("a", "a/b", "b", "..", "step/loss", "")
    rows += [{"event": "log", "axis": axis} for axis in axes]
    names = ["loss", "b/loss", "axis/a/loss", "axis/a/b/loss"]
    names += [f"{event}/loss" for event in ("step", "epoch", "log")]
    keys = {series_key(row, name, is_script=is_script) for row in rows for name in names}
    assert len(keys) == len(rows) * len(names)


def test_what_is_no_value_is_none_and_null_is_nan(tmp_path, file):
    rows = [log(1, loss=None, name="text", flag=True, list=[1], big=10**400, small=-(10**400))]
    rows += [{"event": "epoch", "epoch": 2, "iteration": 9, "loss": 1}, {"event": "other", "x": 1}]
    rows += [{"event": "iteration", "loss": 1}]
    rows += [log(step, loss=1) for step in (-1, "1", True, 2**63)]
    write(file, *rows)
    points = Tail(tmp_path, is_script=True).points()
    assert math.isnan(points[0].value)
    largest = 1.7976931348623157e308
    assert points[1:] == [
        Point("big", 1, largest, 0),
        Point("small", 1, -largest, 0),
        Point("epoch/loss", 9, 1.0, 0),
    ]


def test_equal_ones_are_counted(tmp_path, file):
    write(file, log(1, a=1.0), log(1, a=1.0, b=1.0), log(2, a=1.0))
    tail = Tail(tmp_path, is_script=True)
    assert [point.nth for point in tail.points()] == [0, 1, 0, 0]
    add(file, log(1, a=2.0))
    assert tail.points() == [Point("a", 1, 2.0, 2)]
    assert not tail.anew


def test_only_what_is_new_is_read_and_a_torn_line_waits(tmp_path, file):
    tail = Tail(tmp_path, is_script=True)
    assert tail.points() == []
    assert tail.anew
    write(file, log(1, a=1.0))
    assert len(tail.points()) == 1
    whole = json.dumps(log(2, a=2.0)) + "\n"
    for at, piece in enumerate((whole[:20], whole[20:])):
        with file.open("a") as stream:
            stream.write(piece)
        assert len(tail.points()) == at
    assert not tail.anew
    assert tail.size == file.stat().st_size
    assert tail.points() == []


@pytest.mark.parametrize("how", ["replaced", "shorter", "other", "gone"])
def test_a_rewritten_file_is_read_from_its_beginning(tmp_path, file, how):
    write(file, log(1, a=1.0), log(2, a=2.0))
    tail = Tail(tmp_path, is_script=True)
    tail.points()
    if how == "replaced":
        text = file.read_text()
        (tmp_path / "new").write_text(text)
        os.replace(tmp_path / "new", file)
        expected = [1.0, 2.0]
    elif how == "shorter":
        write(file, log(1, a=1.0))
        expected = [1.0]
    elif how == "other":  # of the same length, in the same place on the disk
        write(file, log(1, a=1.0), log(2, a=3.0))
        expected = [1.0, 3.0]
    else:
        file.unlink()
        assert tail.points() == []
        assert tail.anew
        return
    points = tail.points()
    assert tail.anew
    assert [(point.value, point.nth) for point in points] == [(value, 0) for value in expected]
    assert tail.points() == []
    assert not tail.anew


def test_what_is_known_to_be_sent_is_skipped_and_still_counted(tmp_path, file):
    write(file, log(1, a=1.0), log(1, a=1.0))
    first = Tail(tmp_path, is_script=True)
    first.points()
    add(file, log(1, a=1.0))
    second = Tail(tmp_path, is_script=True)
    assert second.begins_with(first.size, first.digest)
    second.skip(first.size)
    assert second.points() == [Point("a", 1, 1.0, 2)]
    assert not second.anew
    first.points()
    assert second.digest == first.digest
    write(file, log(1, a=1.0), log(1, a=2.0))
    assert not second.begins_with(first.size, first.digest)
    file.unlink()
    assert not second.begins_with(first.size, first.digest)
    assert Tail(tmp_path, is_script=True).begins_with(0, Tail(tmp_path, is_script=True).digest)


def test_values_are_compared_as_a_database_holds_them():
    assert stored(math.nan) == stored(-math.nan) == "nan"
    assert stored(math.inf) == 1.7976931348623157e308
    assert stored(0.1) == 0.1
