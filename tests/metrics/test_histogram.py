import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxtrain.metrics import HistogramState
from jaxtrain.metrics.histogram import bin_of

BINS = 32


@jax.jit
def state_of(scores, truth, real, sound):
    return HistogramState.of(scores, truth, real=real, sound=sound, bins=BINS)


def made(scores, truth, real=True, sound=True):
    full = [jnp.broadcast_to(jnp.asarray(x), scores.shape) for x in (truth, real, sound)]
    return state_of(jnp.asarray(scores, jnp.float32), *full)


def drawn(seed, rows=300, rate=0.3, scale=6.0, shift=8.0):
    draw = np.random.default_rng(seed)
    truth = draw.random((rows, 2)) < rate
    scores = (scale * draw.normal(size=(rows, 2)) + shift * truth).astype(np.float32)
    return scores, truth


def test_bins_keep_the_order_of_scores_in_floating_point():
    draw = np.random.default_rng(0)
    scores = np.concatenate([10.0 ** draw.uniform(-40, 38, 5000), np.linspace(0, 60, 5000)])
    scores = np.sort(np.float32(np.concatenate([-scores, scores, [np.inf, -np.inf, 0.0]])))
    for bins in (2, 7, 1024, 2**20):
        bin_ = np.asarray(bin_of(jnp.asarray(scores), bins))
        assert (np.diff(bin_) >= 0).all()
        assert (bin_[0], bin_[-1]) == (0, bins - 1)


def test_scores_whose_probabilities_are_all_1_in_float32_have_different_bins():
    scores = jnp.array([17.0, 18.0, 20.0, 30.0, 60.0])
    assert jax.nn.sigmoid(scores).tolist() == [1.0] * 5
    assert len(set(bin_of(scores, 1024).tolist())) == 5


def test_what_counts_and_what_is_astray():
    scores = np.float32([[0, 0], [-50, 50], [3, np.nan], [9, 9]])
    truth = np.array([[1, 0], [0, 1], [1, 1], [1, 1]], bool)
    state = made(scores, truth, np.array([[1], [1], [1], [0]], bool), ~np.isnan(scores))
    assert state.totals()[0].tolist() == [2, 1]
    assert state.totals()[1].tolist() == [1, 1]
    assert int(state.astray.low) == 1
    assert int(state.positives.low[0, BINS // 2]) == 1


@pytest.mark.parametrize("seed", range(4))
def test_it_is_scikit_learns_of_the_bins(seed):
    scores, truth = drawn(seed)
    state = made(scores, truth)
    bins = np.asarray(bin_of(jnp.asarray(scores), BINS))
    for column in range(2):
        area = roc_auc_score(truth[:, column], bins[:, column])
        precision = average_precision_score(truth[:, column], bins[:, column])
        assert float(state.value()[column]) == pytest.approx(area, abs=1e-6)
        assert float(state.average_precision()[column]) == pytest.approx(precision, abs=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_the_very_figures_lie_within_the_bounds(rate, scale):
    scores, truth = drawn(5, rate=rate, scale=scale, shift=scale)
    truth[0], truth[1] = True, False
    scores[::3] = np.round(scores[::3])  # true ties, too
    state = made(scores, truth)
    low, high = state.precision_bounds()
    for column in range(2):
        area = roc_auc_score(truth[:, column], scores[:, column])
        precision = average_precision_score(truth[:, column], scores[:, column])
        wrong = float(state.pairs_within()[column])
        assert abs(float(state.value()[column]) - area) <= wrong + 1e-6
        assert float(low[column]) - 1e-6 <= precision <= float(high[column]) + 1e-6
        assert float(state.average_precision()[column]) <= float(high[column]) + 1e-6


@pytest.mark.parametrize("first", ["positives", "negatives"])
def test_the_bounds_are_reached(first):
    """All in one bin, so that only the bounds say anything."""
    truth = np.tile((np.arange(300) % 3 == 0)[:, None], 2)
    sign = 1 if first == "positives" else -1
    scores = (1e-4 * (np.arange(300)[:, None] / 300 + sign * truth)).astype(np.float32) + 1.0
    state = made(scores, truth)
    assert float(state.value()[0]) == pytest.approx(0.5, abs=1e-6)
    assert float(state.pairs_within()[0]) == pytest.approx(0.5, abs=1e-6)
    low, high = state.precision_bounds()
    area = roc_auc_score(truth[:, 0], scores[:, 0])
    precision = average_precision_score(truth[:, 0], scores[:, 0])
    assert area == (1.0 if first == "positives" else 0.0)
    reached = high if first == "positives" else low
    assert float(reached[0]) == pytest.approx(precision, abs=1e-4)


def test_scores_of_bins_of_their_own_are_known_exactly():
    scores = np.float32([[-20], [-5], [-1], [1], [5], [20]]) * np.ones((1, 2), np.float32)
    truth = np.array([[0], [1], [0], [0], [1], [1]], bool) & np.ones((1, 2), bool)
    state = made(scores, truth)
    assert float(state.pairs_within()[0]) == 0.0
    low, high = state.precision_bounds()
    found = float(state.average_precision()[0])
    assert found == pytest.approx(average_precision_score(truth[:, 0], scores[:, 0]), abs=1e-6)
    assert (float(low[0]), float(high[0])) == pytest.approx((found, found), abs=1e-6)


def test_of_one_side_alone_and_of_nothing():
    scores, truth = drawn(0)
    only = made(scores, np.ones_like(truth))
    none = made(scores, np.zeros_like(truth))
    nothing = HistogramState.empty(2, BINS)
    assert np.isnan([only.value(), none.value(), nothing.value()]).all()
    assert only.average_precision().tolist() == [1.0, 1.0]
    assert none.average_precision().tolist() == [0.0, 0.0]
    assert np.isnan(nothing.average_precision()).all()
    assert [x.tolist() for x in none.precision_bounds()] == [[0.0, 0.0]] * 2
    assert np.isnan(nothing.precision_bounds()).all()


def test_counting_is_exact_where_float32_stops():
    state = made(*drawn(0))
    many = HistogramState(*(count.plus(2**24) for count in state))
    merged = many.merge(state)
    assert (np.asarray(merged.positives.low) == 2**24 + 2 * np.asarray(state.positives.low)).all()
