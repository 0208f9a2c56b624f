import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.metrics import FractionState, MeanState

BOTH = pytest.mark.parametrize("state", [MeanState, FractionState])


def test_a_mean_is_a_sum_over_a_sum():
    state = MeanState.empty().plus(8.0, 4.0).merge(MeanState.empty().plus(1.0, 0.5))
    assert float(state.value()) == 2.0
    assert float(MeanState.empty().plus(-3.0, 2.0).value()) == -1.5


def test_a_fraction_counts_the_hits_among_those_that_count():
    hits, among = jnp.array([True, True, False, False]), jnp.array([True, False, True, True])
    state = FractionState.empty().plus(hits, among)
    assert (int(state.hits.low), int(state.rows.low)) == (1, 3)
    both = state.merge(FractionState.empty().plus(hits, hits))
    assert (int(both.hits.low), int(both.rows.low)) == (3, 5)
    assert float(both.value()) == np.float32(3) / np.float32(5)


@BOTH
def test_nothing_is_nan(state):
    assert np.isnan(state.empty().value())
    assert np.isnan(jax.jit(lambda s: s.value())(state.empty()))
    assert state.empty().value().dtype == jnp.float32


@BOTH
def test_nothing_is_nan_under_debug_nans_too(state):
    with jax.debug_nans(True):
        assert np.isnan(state.empty().value())


def test_a_sound_value_divides_by_no_zero_when_it_is_compiled():
    with jax.debug_nans(True), jax.debug_infs(True):
        assert float(jax.jit(lambda: MeanState.empty().plus(3.0, 2.0).value())()) == 1.5


def test_a_population_of_which_one_member_has_seen_nothing():
    states = jax.vmap(lambda t, w: MeanState.empty().plus(t, w))(
        jnp.array([6.0, 0.0]), jnp.array([2.0, 0.0])
    )
    values = jax.vmap(lambda s: s.value())(states)
    assert float(values[0]) == 3.0
    assert np.isnan(values[1])


def test_infinity_and_nan_are_not_hidden():
    assert float(MeanState.empty().plus(np.inf, 2.0).value()) == np.inf
    assert np.isnan(MeanState.empty().plus(np.nan, 2.0).value())
