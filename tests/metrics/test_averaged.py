"""Precision, recall and F-scores beside scikit-learn's, of one table of cases."""

import jax
import numpy as np
import pytest
from sklearn.metrics import fbeta_score, precision_score, recall_score

from jaxtrain.errors import DataError
from jaxtrain.metrics import FBeta, Precision, Recall

ROWS = 48
UPDATE = {k: jax.jit(Precision(num_classes=k, average="micro").update) for k in (2, 3)}
EMPTY = {k: Precision(num_classes=k, average="micro").empty() for k in (2, 3)}


def state_of(predicted, labels, classes):
    """All cases have one shape, so that there is one program for each number of classes."""
    outputs = np.full((ROWS, classes), np.nan, np.float32)
    padded = np.full(ROWS, 77, np.int32)
    outputs[: len(labels)] = np.eye(classes, dtype=np.float32)[np.asarray(predicted, int)]
    padded[: len(labels)] = labels
    output = {"outputs": outputs, "labels": padded, "mask": np.arange(ROWS) < len(labels)}
    return UPDATE[classes](EMPTY[classes], output)


def cases(classes):
    draw = np.random.default_rng(classes)
    last = classes - 1
    labels = draw.integers(0, classes, 40)
    wrong = draw.random(40) < 0.4
    return {
        "random": (np.where(wrong, draw.integers(0, classes, 40), labels), labels),
        "uneven": ((draw.random(40) < 0.2) * 1, (draw.random(40) < 0.1) * last),
        "perfect": (labels, labels),
        "all wrong": ((labels + 1) % classes, labels),
        "one label": (draw.integers(0, classes, 40), np.zeros(40, int)),
        "one label, the last": (draw.integers(0, classes, 40), np.full(40, last)),
        "one prediction": (np.zeros(40, int), labels),
        "neither": (np.zeros(40, int), np.zeros(40, int)),
        "one row": ([1], [1]),
        "one wrong row": ([0], [1]),
    }


TABLE = [(k, name) for k in (2, 3) for name in cases(k)]


@pytest.mark.parametrize("zero_division", [0, 1, "nan"])
@pytest.mark.parametrize(("classes", "case"), TABLE)
def test_it_equals_scikit_learn(classes, case, zero_division):
    predicted, labels = cases(classes)[case]
    state = state_of(predicted, labels, classes)
    for average in ("binary", "macro", "micro", "weighted")[classes > 2 :]:
        options = {"num_classes": classes, "average": average, "zero_division": zero_division}
        theirs = {"average": average, "zero_division": float(zero_division)}
        if average != "binary":
            theirs["labels"] = range(classes)
        for metric, score, more in (
            (Precision(**options), precision_score, {}),
            (Recall(**options), recall_score, {}),
            (FBeta(**options), fbeta_score, {"beta": 1.0}),
            (FBeta(beta=2.0, **options), fbeta_score, {"beta": 2.0}),
            (FBeta(beta=0.0, **options), fbeta_score, {"beta": 0.0}),
        ):
            expected = score(labels, predicted, **theirs, **more)
            found = metric.compute(state)
            np.testing.assert_allclose(found, expected, rtol=3e-7, err_msg=f"{metric}")


@pytest.mark.parametrize("average", ["binary", "macro", "micro", "weighted"])
def test_nothing_is_nan(average):
    state = state_of([], [], 2)
    for zero_division in (0, 1, "nan"):
        metric = FBeta(average=average, zero_division=zero_division)
        assert np.isnan(metric.compute(metric.empty()))
        assert np.isnan(metric.compute(state))


def figures(output, classes=3, **options):
    found = []
    for cls in (Precision, Recall, FBeta):
        metric = cls(num_classes=classes, **options)
        found.append(float(metric.compute(metric.update(metric.empty(), output))))
    return found


def test_a_label_that_is_no_class_is_a_wrong_row():
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    for strange in (-1, 3, -100, 2**31 - 1):
        output = {"outputs": outputs, "labels": np.array([0, 1, 2, strange])}
        assert figures(output, average="micro") == pytest.approx([3 / 4] * 3)
        assert figures(output, average="macro") == pytest.approx([5 / 6, 1, (2 + 2 / 3) / 3])
        assert figures(output, average="macro", ignore_label=strange) == [1, 1, 1]
    with jax.enable_x64(True):
        output = {"outputs": outputs, "labels": np.array([0, 1, 2, 2**32 + 1], np.int64)}
        assert figures(output, average="micro") == pytest.approx([3 / 4] * 3)


@pytest.mark.parametrize("zero_division", [0, 1, "nan"])
def test_where_no_label_is_a_class_all_classes_weigh_the_same(zero_division):
    predicted, labels = [0, 1, 1], [9, 9, 9]
    state = state_of(predicted, labels, 3)
    options = {"average": "weighted", "zero_division": zero_division}
    theirs = {**options, "zero_division": float(zero_division), "labels": range(3)}
    for cls, score in ((Precision, precision_score), (Recall, recall_score)):
        found = cls(num_classes=3, **options).compute(state)
        np.testing.assert_allclose(found, score(labels, predicted, **theirs), rtol=3e-7)


def test_a_row_with_nan_predicts_nothing_and_misses_its_label():
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    outputs[3] = [np.nan, 9, 0]
    output = {"outputs": outputs, "labels": np.array([0, 1, 2, 1])}
    assert figures(output, average="micro") == pytest.approx([3 / 4] * 3)
    assert figures(output, average="macro") == pytest.approx([1, 5 / 6, (2 + 2 / 3) / 3])
    assert figures(output, average="weighted") == pytest.approx([1, 3 / 4, (2 + 2 * 2 / 3) / 4])


def test_tokens_and_heads_are_read_by_their_paths():
    output = {
        "outputs": {"text": np.eye(2, dtype=np.float32)[[[1, 1], [0, 1]]]},
        "labels": {"text": np.array([[1, 0], [1, 1]])},
        "real": np.array([[1, 1], [1, 0]]),
    }
    options = {"outputs": "outputs.text", "labels": "labels.text", "mask": "real"}
    assert figures(output, 2, **options) == pytest.approx([1 / 2, 1 / 2, 1 / 2])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_classes": 1}, "num_classes: expected at least 2, found 1"),
        ({"num_classes": 3}, "'binary' is of two classes, found 3; choose 'macro'"),
        ({"average": "samples"}, "average: expected one of 'binary', 'macro', 'micro', 'weighted'"),
        ({"zero_division": 0.5}, "zero_division: expected one of 0, 1, 'nan', found 0.5"),
        ({"zero_division": float("nan")}, "zero_division: expected one of 0, 1, 'nan', found nan"),
    ],
)
def test_wrong_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        Precision(**options)


def test_another_number_of_outputs_is_refused():
    output = {"outputs": np.ones((4, 3), np.float32), "labels": np.zeros(4, int)}
    with pytest.raises(DataError, match=r"Recall was made for 2 classes.*\(4, 3\).*num_classes=3"):
        Recall().update(Recall().empty(), output)
