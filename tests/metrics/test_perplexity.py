import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.metrics import Perplexity

METRIC = Perplexity()


def perplexity(*outputs):
    state = METRIC.empty()
    for output in outputs:
        state = METRIC.update(state, output)
    return float(METRIC.compute(state))


def test_a_uniform_guess_is_as_perplexed_as_there_are_tokens():
    logits, labels = np.zeros((2, 3, 50), np.float32), np.ones((2, 3), np.int32)
    assert perplexity({"outputs": logits, "labels": labels}) == pytest.approx(50, rel=1e-6)


def test_it_is_a_mean_over_tokens_and_not_over_batches():
    long = {"outputs": {"nll": jnp.full((1, 9), 1.0)}}
    short = {"outputs": {"nll": jnp.full((1, 9), 3.0)}, "mask": jnp.arange(9)[None] < 1}
    assert perplexity(long, short) == pytest.approx(np.exp(1.2), rel=1e-6)


def test_what_does_not_count_may_be_nan():
    output = {"outputs": {"nll": jnp.array([[1.0, np.nan]])}, "mask": jnp.array([[1.0, 0.0]])}
    assert perplexity(output) == pytest.approx(np.e, rel=1e-6)
    assert np.isnan(perplexity(output | {"mask": jnp.ones((1, 2))}))


def test_a_long_epoch_keeps_its_digits():
    """A float32 sum of 2**24 tokens would take no more of them."""
    state = METRIC.empty()
    state = state.plus(2.0**24, 2.0**24)
    for _ in range(4):
        state = METRIC.update(state, {"outputs": {"nll": jnp.full((1, 1), 1.0)}})
    assert float(state.weight.total) + float(state.weight.error) == 2**24 + 4
    assert float(METRIC.compute(state)) == pytest.approx(np.e, rel=1e-6)


def test_nothing_is_nan_and_too_much_is_infinite():
    assert np.isnan(perplexity())
    with jax.debug_nans(True):
        assert np.isnan(METRIC.compute(METRIC.empty()))
    assert perplexity({"outputs": {"nll": jnp.full((1, 1), 100.0)}}) == np.inf
