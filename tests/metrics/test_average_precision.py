"""Average precision, binned and exact, beside scikit-learn's."""

import warnings

import jax
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import label_binarize

from jaxtrain.metrics import METRICS, AveragePrecision, ExactAveragePrecision
from jaxtrain.metrics.average_precision import average_precision
from tests.metrics.options import SCORES
from tests.metrics.test_roc_auc import CASES, padded

BINARY, THREE = AveragePrecision(), AveragePrecision(num_classes=3)
UPDATE = {1: jax.jit(BINARY.update), 3: jax.jit(THREE.update)}


def exact(outputs, labels, parts=1, **options):
    metric = ExactAveragePrecision(**options)
    for rows in np.array_split(np.arange(len(labels)), parts):
        metric.update({"outputs": np.asarray(outputs)[rows], "labels": np.asarray(labels)[rows]})
    return metric.compute()


def theirs(labels, scores, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no positives
        return average_precision_score(labels, scores, **options)


@pytest.mark.parametrize("case", CASES)
def test_of_two_classes_it_equals_scikit_learn(case):
    scores, labels = CASES[case]
    expected = theirs(labels, scores)
    for parts in (1, 7):
        assert exact(scores, labels, parts) == expected
    state = UPDATE[1](BINARY.empty(), padded(scores, labels))
    value, wrong = float(BINARY.compute(state)), float(BINARY.error_bound(state))
    low, high = map(float, BINARY.bounds(state))
    assert low - 1e-6 <= expected <= high + 1e-6
    assert abs(value - expected) <= wrong + 1e-6
    if case not in ("ties", "all tied", "perfect", "reversed"):
        assert wrong < 0.02


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("missing", [False, True])
def test_of_more_classes_it_is_the_mean_of_each_against_the_rest(average, missing):
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2 if missing else 3, 200)
    logits = np.float32(2 * draw.normal(size=(200, 3)) + 3 * np.eye(3)[labels])
    p = softmax(logits.astype(np.float64), axis=1)
    # Their own way to tell classes apart leaves out those that are not there.
    expected = theirs(label_binarize(labels, classes=range(3)), p, average=average)
    found = exact(logits, labels, 3, num_classes=3, average=average)
    assert found == pytest.approx(expected, abs=1e-12)
    metric = AveragePrecision(num_classes=3, average=average)
    state = UPDATE[3](THREE.empty(), padded(logits, labels))
    value, wrong = float(metric.compute(state)), float(metric.error_bound(state))
    assert abs(value - expected) <= wrong + 1e-6
    assert 0 < wrong < 0.02


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("rates", [[0.1, 0.5, 0.7], [0.0, 0.0, 0.0]])
def test_of_several_labels_it_is_the_mean_of_theirs(average, rates):
    draw = np.random.default_rng(2)
    labels = (draw.random((200, 3)) < rates).astype(int)
    logits = np.float32(2 * draw.normal(size=(200, 3)) + 2 * labels)
    expected = theirs(labels, logits, average=average)
    options = {"num_classes": 3, "multilabel": True, "average": average}
    assert exact(logits, labels, 4, **options) == pytest.approx(expected, abs=1e-12)
    metric = AveragePrecision(**options)
    state = metric.update(metric.empty(), {"outputs": logits, "labels": labels})
    value, wrong = float(metric.compute(state)), float(metric.error_bound(state))
    assert abs(value - expected) <= wrong + 1e-6


def test_a_config_makes_either():
    assert METRICS["average_precision"] is average_precision
    assert average_precision(2) == AveragePrecision()
    assert average_precision(7, bins=64, **SCORES) == AveragePrecision(
        num_classes=7, bins=64, **SCORES
    )
    assert average_precision(2, exact=True) == ExactAveragePrecision()
    assert average_precision(7, exact=True, max_rows=9, **SCORES) == ExactAveragePrecision(
        num_classes=7, max_rows=9, **SCORES
    )
