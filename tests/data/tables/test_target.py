"""Columns to predict."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data import TargetScale
from jaxtrain.data.tables.format import TableFormat
from jaxtrain.data.tables.target import ClassTarget, NumberTarget, target_from_json
from jaxtrain.errors import DataError

AS_IS = TableFormat()


def test_classes_have_numbers_and_what_is_missing_is_not_known(read):
    table = read("y\nno.\nyes.\n?\nno.\n")
    labels, known = ClassTarget("y", ("no", "yes")).labels(table, TableFormat(strip_target="."))
    assert labels.tolist() == [0, 1, 0, 0]
    assert labels.dtype == np.int32
    assert known.tolist() == [True, True, False, True]


def test_another_class_is_refused_in_the_rows_that_are_asked_for(read):
    table = read("y\nno\nmaybe\nyes\n")
    target = ClassTarget("y", ("no", "yes"))
    message = r"t\.csv:3: column 'y': expected one of the 2 classes \(no, yes\), found 'maybe'"
    with pytest.raises(DataError, match=message):
        target.labels(table, AS_IS, np.arange(3))
    labels, known = target.labels(table, AS_IS, np.array([0, 2]))
    assert (labels.tolist(), known.tolist()) == ([0, 0, 1], [True, False, True])


def test_numbers_on_a_scale(read):
    table = read("y\n1\n3\n?\n")
    labels, known = NumberTarget("y", TargetScale((2.0,), (1.0,))).labels(table, AS_IS)
    assert labels.tolist() == [-1, 1, 0]
    assert labels.dtype == np.float32
    assert known.tolist() == [True, True, False]
    assert NumberTarget("y", None).labels(table, AS_IS)[0].tolist() == [1, 3, 0]


def test_a_target_that_float32_does_not_hold_has_a_place(read):
    with pytest.raises(DataError, match=r"t\.csv:3: column 'y': 1e\+39 is too large to predict"):
        NumberTarget("y", None).labels(read("y\n1\n1e39\n"), AS_IS)


def test_a_target_that_is_no_number_has_a_place(read):
    with pytest.raises(DataError, match=r"t\.csv:3: column 'y': .* found 'x'"):
        NumberTarget("y", None).labels(read("y\n1\nx\n"), AS_IS)


@pytest.mark.parametrize(
    "target",
    [
        ClassTarget("y", ("b", "a")),
        NumberTarget("y", TargetScale((1.0,), (0.1,)), "%"),
        NumberTarget("y", None),
    ],
)
def test_there_and_back(target):
    assert target_from_json(json.loads(json.dumps(dict(target.to_json())))) == target


@pytest.mark.parametrize(
    "record",
    [
        None,
        {"task": "x"},
        {"task": "classification", "name": "y", "classes": []},
        {"task": "classification", "name": "y", "classes": ["a", "a"]},
        {"task": "classification", "name": "y", "classes": [1, 2]},
        {"task": "classification", "name": 1, "classes": ["a"]},
        {"task": "regression", "name": "y", "scale": {"mean": [0], "deviation": [0]}, "sign": ""},
        {"task": "regression", "name": "y", "scale": None},
    ],
)
def test_what_is_no_target_is_refused(record):
    with pytest.raises(DataError):
        target_from_json(record)
