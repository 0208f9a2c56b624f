from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from jaxtrain.data.arrays.labels import LabelForm
from jaxtrain.errors import ConfigError, DataError


def fit(raw, task=None):
    return LabelForm.fit(np.asarray(raw), name="y", task=task)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">u2"])
def test_whole_numbers_are_classes(dtype):
    raw = np.array([0, 2, 1, 2], dtype)
    form = fit(raw)
    assert (form.task, form.kind, form.num_outputs, form.classes) == (
        "classification",
        "whole",
        3,
        (),
    )
    found = form.apply(raw, name="y")
    assert (found.dtype, found.tolist()) == (np.int32, [0, 2, 1, 2])
    assert form.scaled(raw, name="y") is form


def test_gaps_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        assert fit([0, 1, 2]).num_outputs == 3
        assert caplog.text == ""
        assert fit([1, 5, 3]).num_outputs == 6
    assert (
        "y: 6 classes, from 0 to the largest label; 3 of them never occur: 0, 2, 4" in caplog.text
    )


def test_texts_and_truths_are_classes_by_name():
    form = fit(["gull", "crow", "gull"])
    assert (form.classes, form.num_outputs) == (("crow", "gull"), 2)
    assert form.apply(np.array(["gull", "crow"]), name="y").tolist() == [1, 0]
    assert form.apply(np.array([b"gull"]), name="y").tolist() == [1]
    assert fit(np.array([b"b", b"a"])).classes == ("a", "b")
    assert fit([True, True]).classes == ("False", "True")
    assert fit([True, False]).apply(np.array([True, False]), name="y").tolist() == [1, 0]
    for texts in (np.array([b"\xff"]), np.array(["\udcff"])):
        with pytest.raises(DataError, match="texts that are not UTF-8"):
            fit(texts)


def test_numbers_with_a_point_are_a_regression():
    raw = np.array([10.0, 20.0, 60.0])
    form = fit(raw)
    assert (form.task, form.num_outputs, form.columns, form.scale) == ("regression", 1, None, None)
    assert form.apply(raw, name="y").tolist() == [10, 20, 60]
    scaled = form.scaled(raw, name="y")
    found = scaled.apply(raw, name="y")
    assert found.dtype == np.float32
    assert abs(found.mean()) < 1e-6
    assert np.allclose(scaled.scale.in_unit(found), raw)
    wide = fit(np.arange(6.0).reshape(3, 2))
    assert (wide.num_outputs, wide.columns) == (2, 2)
    assert wide.scaled(np.arange(6.0).reshape(3, 2), name="y").scale.mean == (2.0, 3.0)
    assert fit([3, 4], "regression").apply(np.array([3, 5]), name="y").dtype == np.float32


def test_the_task_can_be_told():
    assert fit([0.0, 1.0, 1.0], "classification").num_outputs == 2
    with pytest.raises(DataError, match=r"y\[1\] is 0.5: expected classes"):
        fit([0.0, 0.5], "classification")
    with pytest.raises(ConfigError, match=r"data\.task: y holds texts"):
        fit(["a"], "regression")


def test_a_column_is_taken_as_labels_with_a_word():
    raw = np.array([[0], [1], [1]])
    form = fit(raw)
    assert form.apply(raw, name="y").tolist() == [0, 1, 1]
    assert form.words(raw) == "labels [3, 1] taken as [3]"
    assert fit([0, 1]).words(np.array([0, 1])) == ""
    assert "targets standardised" in fit([0.5]).scaled(np.array([0.5]), name="y").words(np.ones(1))
    assert "float64 taken as classes" in fit([0.0], "classification").words(np.ones(1))


def test_labels_that_are_none():
    for raw, said in (
        ([[0, 1], [1, 0]], r"expected a class for each row .*argmax"),
        (np.zeros((2, 2, 2)), r"expected labels \[B\] or \[B, D\]"),
        ([0, -1], r"y\[1\] is -1: expected classes, whole numbers from 0"),
        ([2**20], r"below 1,048,576"),
        ([1.5, np.nan], r"y\[1\] is nan: expected finite numbers .* 1 are not"),
        ([1e39], r"y\[0\] is 1e\+39"),
    ):
        with pytest.raises(DataError, match=said):
            fit(raw)


def test_labels_of_another_set():
    form = fit([0, 1, 2])
    with pytest.raises(DataError, match=r"y\[1\] is 3; expected whole numbers from 0 to 2"):
        form.apply(np.array([0, 3]), name="y")
    with pytest.raises(DataError, match=r"y\[0\] is 0\.5"):
        form.apply(np.array([0.5]), name="y")
    assert form.apply(np.array([2.0]), name="y").tolist() == [2]
    with pytest.raises(DataError, match=r"'emu'; expected one of the classes crow, gull"):
        fit(["crow", "gull"]).apply(np.array(["gull", "emu"]), name="y")
    for odd in (np.array(["a"]), np.zeros((2, 2)), np.zeros((1, 1, 1))):
        with pytest.raises(DataError, match=r"labels"):
            form.apply(odd, name="y")
    with pytest.raises(DataError, match="no array of labels as the model was trained on"):
        fit(["a", "b"]).apply(np.array([0]), name="y")
    with pytest.raises(DataError, match="no array of labels"):
        fit([0.5]).apply(np.zeros((2, 2)), name="y")


def test_some_that_are_not_known():
    labels, known = fit([0, 1]).known(np.array([1, 5, -1]), name="y")
    assert (labels.tolist(), known.tolist()) == ([1, 0, 0], [True, False, False])
    labels, known = fit([0, 1]).known(np.array([1, np.nan, np.inf]), name="y")
    assert (labels.tolist(), known.tolist()) == ([1, 0, 0], [True, False, False])
    form = fit([10.0, 20.0]).scaled(np.array([10.0, 20.0]), name="y")
    labels, known = form.known(np.array([20.0, np.nan, 1e300]), name="y")
    assert (labels.tolist(), known.tolist()) == ([1, 0, 0], [True, False, False])


FORMS = {
    "whole": fit([0, 1, 2]),
    "text": fit(["a", "b"]),
    "truth": fit([True]),
    "number": fit([1.0, 2.0]).scaled(np.array([1.0, 2.0]), name="y"),
    "wide": fit(np.ones((2, 3))),
}


@pytest.mark.parametrize("kind", FORMS)
def test_there_and_back(kind):
    record = json.loads(json.dumps(FORMS[kind].to_json()))
    assert LabelForm.from_json(record) == FORMS[kind]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("whole", {"task": "regression"}),
        ("whole", {"task": "x"}),
        ("whole", {"kind": "text"}),
        ("whole", {"num_outputs": 0}),
        ("whole", {"num_outputs": 3.0}),
        ("whole", {"classes": ["a", "b", "c"]}),
        ("whole", {"columns": 3}),
        ("whole", {"scale": {"mean": [0], "deviation": [1]}}),
        ("text", {"classes": ["a"]}),
        ("text", {"classes": ["a", "a"]}),
        ("text", {"classes": ["a", 1]}),
        ("text", {"classes": None}),
        ("number", {"kind": "whole"}),
        ("number", {"num_outputs": 2}),
        ("number", {"scale": {"mean": [0, 1], "deviation": [1, 1]}}),
        ("number", {"scale": {"mean": [0], "deviation": [0]}}),
        ("number", {"scale": 3}),
        ("wide", {"columns": 2}),
        ("wide", {"columns": None}),
    ],
)
def test_what_is_something_else(kind, change):
    with pytest.raises(DataError):
        LabelForm.from_json({**FORMS[kind].to_json(), **change})
    with pytest.raises(DataError, match="the reader of arrays"):
        LabelForm.from_json(["task"])
