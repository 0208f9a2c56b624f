"""The area under the ROC curve, binned and exact, beside scikit-learn's."""

import warnings

import jax
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from jaxtrain.metrics import METRICS, ExactRocAuc, RocAuc
from jaxtrain.metrics.roc_auc import roc_auc
from tests.metrics.options import SCORES

BINARY, THREE = RocAuc(), RocAuc(num_classes=3)
UPDATE = {1: jax.jit(BINARY.update), 3: jax.jit(THREE.update)}
ROWS = 256


def padded(scores, labels):
    """All cases have one shape, so that there is one program for each number of classes."""
    outputs = np.full((ROWS, *np.shape(scores)[1:]), np.nan, np.float32)
    filled = np.full(ROWS, 9, np.int32)
    outputs[: len(scores)], filled[: len(scores)] = scores, labels
    return {"outputs": outputs, "labels": filled, "mask": np.arange(ROWS) < len(scores)}


def exact(outputs, labels, parts=1, **options):
    metric = ExactRocAuc(**options)
    for rows in np.array_split(np.arange(len(labels)), parts):
        metric.update({"outputs": np.asarray(outputs)[rows], "labels": np.asarray(labels)[rows]})
    return metric.compute()


def theirs(truth, scores, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one class alone
        return roc_auc_score(truth, scores, **options)


draw = np.random.default_rng(0)
LABELS = (draw.random(200) < 0.3).astype(int)
SCORES_OF = np.float32(3 * draw.normal(size=200) + 4 * LABELS)
CASES = {
    "random": (SCORES_OF, LABELS),
    "ties": (np.round(SCORES_OF / 4), LABELS),
    "all tied": (0 * SCORES_OF, LABELS),
    "perfect": (np.float32(LABELS) * 4 - 2, LABELS),
    "reversed": (2 - np.float32(LABELS) * 4, LABELS),
    "no positives": (SCORES_OF, 0 * LABELS),
    "positives alone": (SCORES_OF, 0 * LABELS + 1),
    "one row": (SCORES_OF[:1], LABELS[:1]),
    "one of each": (np.float32([1.0, 1.5]), np.array([0, 1])),
}


@pytest.mark.parametrize("case", CASES)
def test_of_two_classes_it_equals_scikit_learn(case):
    scores, labels = CASES[case]
    expected = theirs(labels, scores)
    for parts in (1, 7):
        found = exact(scores, labels, parts)
        assert found == expected or (np.isnan(found) and np.isnan(expected))
    state = UPDATE[1](BINARY.empty(), padded(scores, labels))
    found, wrong = BINARY.compute(state), BINARY.error_bound(state)
    if np.isnan(expected):
        assert np.isnan([found, wrong]).all()
    else:
        assert abs(float(found) - expected) <= float(wrong) + 1e-6
        if case not in ("ties", "all tied"):
            assert float(wrong) < 0.005


def test_scores_logits_and_probabilities_are_ranked_alike():
    both = np.stack([np.full(200, 0.5), SCORES_OF.astype(np.float64) + 0.5], axis=1)
    expected = theirs(LABELS, SCORES_OF)
    assert exact(SCORES_OF[:, None], LABELS) == expected
    assert exact(both, LABELS) == pytest.approx(expected, abs=1e-12)
    p = softmax(both, axis=1)
    assert exact(p, LABELS, scores="probabilities") == theirs(LABELS, p[:, 1])
    assert exact(p[:, 1], LABELS, scores="probabilities") == theirs(LABELS, p[:, 1])


def test_infinite_scores_have_their_place():
    scores = np.array([-np.inf, 0.0, 1.0, np.inf, np.inf])
    labels = np.array([0, 1, 0, 1, 0])
    expected = theirs(labels, np.array([0, 1, 2, 3, 3]))
    assert exact(scores, labels) == expected
    state = UPDATE[1](BINARY.empty(), padded(scores, labels))
    assert float(BINARY.compute(state)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("missing", [False, True])
def test_of_more_classes_it_is_each_against_the_rest(average, missing):
    labels = draw.integers(0, 2 if missing else 3, 200)
    logits = np.float32(2 * draw.normal(size=(200, 3)) + 3 * np.eye(3)[labels])
    p = softmax(logits.astype(np.float64), axis=1)
    expected = theirs(labels, p, multi_class="ovr", average=average, labels=range(3))
    found = exact(logits, labels, 3, num_classes=3, average=average)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(found) == (missing and average == "macro")
    metric = RocAuc(num_classes=3, average=average)
    state = UPDATE[3](THREE.empty(), padded(logits, labels))
    value, wrong = float(metric.compute(state)), float(metric.error_bound(state))
    if not np.isnan(expected):
        assert abs(value - expected) <= wrong + 1e-6
        assert wrong < 0.005
    else:
        assert np.isnan(value)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_of_several_labels_it_is_each_of_them(average):
    labels = (draw.random((200, 3)) < [0.1, 0.5, 0.7]).astype(int)
    logits = np.float32(2 * draw.normal(size=(200, 3)) + 2 * labels)
    expected = theirs(labels, logits, average=average)
    options = {"num_classes": 3, "multilabel": True, "average": average}
    assert exact(logits, labels, 4, **options) == pytest.approx(expected, abs=1e-12)
    metric = RocAuc(**options)
    state = metric.update(metric.empty(), {"outputs": logits, "labels": labels})
    value, wrong = float(metric.compute(state)), float(metric.error_bound(state))
    assert abs(value - expected) <= wrong + 1e-6
    assert wrong < 0.005


def test_a_confident_model_is_not_all_ties():
    """As float32 probabilities its scores would be: the area of those is another."""
    labels = LABELS
    scores = np.float32(30 + 2 * draw.normal(size=200) + 4 * labels)
    expected = theirs(labels, scores)
    by_logits = float(BINARY.compute(UPDATE[1](BINARY.empty(), padded(scores, labels))))
    assert by_logits == pytest.approx(expected, abs=0.01)
    assert theirs(labels, np.float32(1) / (1 + np.exp(-scores))) == 0.5


def test_a_config_makes_either():
    assert METRICS["roc_auc"] is roc_auc
    assert roc_auc(2) == RocAuc()
    assert roc_auc(7, bins=64, **SCORES) == RocAuc(num_classes=7, bins=64, **SCORES)
    assert roc_auc(2, exact=True) == ExactRocAuc()
    assert roc_auc(7, exact=True, max_rows=9, **SCORES) == ExactRocAuc(
        num_classes=7, max_rows=9, **SCORES
    )
