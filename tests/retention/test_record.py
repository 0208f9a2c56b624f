"""Tests of jaxtrain.retention.record."""

import dataclasses
import json

import pytest

from jaxtrain.errors import DataError
from jaxtrain.retention import Baseline, Joint, Merged, RetentionMatrix, RetentionReport, TaskScores
from jaxtrain.retention.findings import Findings
from jaxtrain.retention.record import _READERS
from tests.retention.small import matrix


def full():
    rows = matrix().rows[3]
    baselines = {"a": Baseline(majority=0.3, random=0.25)}
    options = {"baselines": baselines, "merged": rows, "joint": rows, "control": "text"}
    return RetentionReport.of(matrix(), resamples=100, **options)


def written(report):
    return json.loads(json.dumps(report.to_json(), allow_nan=False))


def test_a_report_comes_back_as_it_was():
    one = {"a": TaskScores([1], [1.0])}
    lone = RetentionReport.of(RetentionMatrix(tasks=("a",), rows=(one, one)), resamples=100)
    for report in (full(), RetentionReport.of(matrix(2), resamples=100), lone):
        again = RetentionReport.from_json(written(report))
        assert again == report
        assert again.text() == report.text()


def test_every_field_of_every_record_has_a_reader():
    for kind in (Findings, Merged, Joint):
        assert set(_READERS[kind]) == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("name", sorted(full().to_json()))
def test_a_field_that_is_missing_or_of_another_kind_is_told(name):
    record = written(full())
    for value in ({"d": [1, 2, 3]}, [1, [2]], -0.5):
        with pytest.raises(DataError):
            RetentionReport.from_json(record | {name: value})
    del record[name]
    with pytest.raises(DataError, match="expected"):
        RetentionReport.from_json(record)


@pytest.mark.parametrize(
    "record", [None, [], {}, {"version": 3}, {"version": True}, {"version": []}, "report"]
)
def test_what_is_no_report_is_refused(record):
    with pytest.raises(DataError, match="a retention report: expected version 1 or 2, found"):
        RetentionReport.from_json(record)


def test_a_file_says_what_the_three_numbers_of_a_figure_are():
    record = written(full())
    assert (record["columns"], record["level"]) == (["value", "low", "high"], 0.95)
    found = dict(zip(record["columns"], record["average_accuracy"], strict=True))
    assert found == full().average_accuracy._asdict()
    for change in ({"columns": ["low", "value", "high"]}, {"level": 0.9}):
        with pytest.raises(DataError, match=f"report: {next(iter(change))}: expected"):
            RetentionReport.from_json(record | change)


def test_a_file_of_before_that_said_nothing_of_them_is_read():
    record = written(full()) | {"version": 1}
    with pytest.raises(DataError, match=r"expected the fields tasks, .* columns, level"):
        RetentionReport.from_json(record)
    del record["columns"], record["level"]
    assert RetentionReport.from_json(record) == full()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r.update(more=1), "RetentionReport: expected the fields tasks, .*more"),
        (lambda r: r["scores"].pop(), "expected 4 rows, .* found 3 of 3 tasks"),
        (lambda r: r["nlls"].pop(), "expected 4 rows"),
        (lambda r: r["tasks"].pop(), "expected 4 rows"),
        (lambda r: r["scores"][1]["b"].reverse(), "RetentionReport: scores: a figure: expected"),
        (lambda r: r["changes"].update(d=[0, 0, 0]), "expected tasks of a, b, c, text, found d"),
        (lambda r: r["merged"].pop("largest"), "RetentionReport: merged: Merged: expected the fie"),
        (lambda r: r["merged"].update(largest="1"), "merged: Merged: largest: expected a number"),
        (lambda r: r["joint"].update(gap=1), "joint: Joint: gap: a figure: expected"),
        (lambda r: r["baselines"]["a"].update(random=2), "baselines: random: expected a number"),
    ],
)
def test_what_somebody_made_of_it_is_told(change, says):
    record = written(full())
    change(record)
    with pytest.raises(DataError, match=says):
        RetentionReport.from_json(record)


def test_a_joint_training_of_version_1_has_no_losses():
    record = written(full())
    losses = record["joint"].pop("nlls")
    assert losses
    for name in ("columns", "level"):
        del record[name]
    read = RetentionReport.from_json({**record, "version": 1})
    assert read.joint.nlls == {}
    assert read.joint.scores == full().joint.scores
    assert "all tasks at once" in read.text()
