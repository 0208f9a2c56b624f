"""How binned metrics read, average and bound; what they come to, test_roc_auc.py says."""

import jax
import numpy as np
import pytest

from jaxtrain.metrics import AveragePrecision, RocAuc


def state_of(metric, outputs, labels, **more):
    output = {"outputs": np.float32(outputs), "labels": np.asarray(labels), **more}
    return metric.update(metric.empty(), output)


@pytest.mark.parametrize("cls", [RocAuc, AveragePrecision])
@pytest.mark.parametrize(
    ("outputs", "labels", "scores"),
    [
        ([0.1, np.nan, 2.0], [0, 1, 1], "logits"),
        ([0.1, 0.2, 0.3], [0, 1, 7], "logits"),
        ([0.1, 0.2, 0.3], [0, 1, -1], "logits"),
        ([0.1, 0.2, 1.3], [0, 1, 1], "probabilities"),
        ([0.1, 0.2, -0.1], [0, 1, 1], "probabilities"),
    ],
)
def test_what_has_no_place_makes_the_figure_nan_unless_it_is_masked(cls, outputs, labels, scores):
    metric = cls(scores=scores, bins=8)
    state = state_of(metric, outputs, labels)
    assert np.isnan(metric.compute(state))
    assert np.isnan(metric.bounds(state)).all()
    assert np.isnan(metric.error_bound(state))
    bad = 1 if np.isnan(outputs).any() else 2
    mask = np.arange(3) != bad
    kept = [x for n, x in enumerate(labels) if n != bad]
    masked = metric.compute(state_of(metric, outputs, labels, mask=mask))
    alone = metric.compute(state_of(metric, np.float32(outputs)[mask], kept))
    np.testing.assert_array_equal(masked, alone)


def test_probabilities_and_logits_have_the_same_bins():
    logits = np.linspace(-12, 12, 101, dtype=np.float32)
    labels = np.arange(101) % 2
    by_logits = state_of(RocAuc(bins=64), logits, labels)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    by_probabilities = state_of(RocAuc(bins=64, scores="probabilities"), probabilities, labels)
    moved = np.abs(
        np.asarray(by_logits.positives.low).cumsum()
        - np.asarray(by_probabilities.positives.low).cumsum()
    )
    assert moved.max() <= 1  # by rounding at an edge


def test_probabilities_of_0_and_1_have_a_place():
    metric = RocAuc(scores="probabilities", bins=8)
    state = state_of(metric, [0.0, 1.0, 0.5, 1.0], [0, 1, 0, 0])
    assert float(metric.compute(state)) == pytest.approx(5 / 6)


def test_the_bound_is_averaged_as_the_figure_is():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 400)
    outputs = draw.normal(size=(400, 3)) + 2 * np.eye(3)[labels] * [1, 2, 3]
    for average in ("macro", "weighted"):
        metric = RocAuc(num_classes=3, average=average, bins=16)
        state = state_of(metric, outputs, labels)
        value, wrong, (low, high) = (
            metric.compute(state),
            metric.error_bound(state),
            metric.bounds(state),
        )
        weights = np.bincount(labels) if average == "weighted" else None
        assert float(value) == pytest.approx(np.average(state.value(), weights=weights), abs=1e-6)
        expected = np.average(state.pairs_within(), weights=weights)
        assert float(wrong) == pytest.approx(expected, abs=1e-6)
        assert float(high - low) == pytest.approx(2 * expected, abs=1e-6)


@pytest.mark.parametrize("negatives", [1, 100])
def test_the_bound_is_the_further_of_both_ends(negatives):
    """Of one bin, with few negatives the least is further off than the most, with many nearer."""
    metric = AveragePrecision(bins=2)
    labels = np.arange(100 + negatives) < 100
    state = state_of(metric, np.ones(len(labels)), labels)
    value, (low, high) = float(metric.compute(state)), map(float, metric.bounds(state))
    assert (value - low > high - value) == (negatives == 1)
    assert float(metric.error_bound(state)) == pytest.approx(max(value - low, high - value))


def test_more_bins_are_less_wrong():
    draw = np.random.default_rng(1)
    labels = (draw.random(2000) < 0.3).astype(int)
    outputs = draw.normal(size=2000) * 4 + 6 * labels
    for cls in (RocAuc, AveragePrecision):
        wrong = []
        for bins in (16, 256, 4096):
            metric = cls(bins=bins)
            wrong.append(float(metric.error_bound(state_of(metric, outputs, labels))))
        assert wrong[0] > 4 * wrong[1] > 16 * wrong[2] > 0


def test_the_state_is_of_one_size_whatever_comes():
    metric = RocAuc(num_classes=5, bins=100)
    shapes = [leaf.shape for leaf in jax.tree.leaves(metric.empty())]
    assert shapes == [(5, 100)] * 4 + [()] * 2


@pytest.mark.parametrize("options", [{"bins": 1}, {"bins": 2**20, "num_classes": 2**11}])
def test_bins_have_bounds(options):
    with pytest.raises(ValueError, match="bins: expected at least 2, and below"):
        RocAuc(**options)
