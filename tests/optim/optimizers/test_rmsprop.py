import jax
import jax.numpy as jnp
import pytest

from jaxtrain.optim import rmsprop
from tests.optim.parity import assert_theirs, cases


@cases("rmsprop")
def test_it_is_pytorchs(case):
    assert_theirs(case)


def test_a_variance_that_rounding_makes_negative_is_none():
    """A gradient that does not change: PyTorch's root of a negative number is NaN."""
    tx = rmsprop(0.1, centered=True, decay=0.5, eps=1e-3)
    params, opt_state = jnp.zeros(64), tx.init(jnp.zeros(64))
    gradient = jnp.linspace(0.1, 0.7, 64)
    update = jax.jit(tx.update)
    variances = []
    for _ in range(60):
        updates, opt_state = update(gradient, opt_state, params)
        assert bool(jnp.isfinite(updates).all())
        mu, nu = (jax.tree.leaves(opt_state.inner_state)[n] for n in (0, 1))
        variances.append(float((nu - mu * mu).min()))
    assert min(variances) < 0  # it does come to that


def test_a_schedule_scales_the_whole_sum():
    tx = rmsprop(lambda step: jnp.where(step < 1, 1.0, 0.0), momentum=0.9)
    params, opt_state = jnp.zeros(1), tx.init(jnp.zeros(1))
    first, opt_state = tx.update(jnp.ones(1), opt_state, params)
    second, _ = tx.update(jnp.ones(1), opt_state, params)
    assert float(first[0]) == pytest.approx(-10, rel=1e-5)
    assert float(second[0]) == 0
