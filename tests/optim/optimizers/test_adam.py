import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.optim import adam, adamw
from tests.optim.parity import assert_theirs, cases, trajectory


@cases("adam", "adamw")
def test_they_are_pytorchs(case):
    assert_theirs(case)


@pytest.mark.parametrize("options", [{}, {"b1": 0.5, "b2": 0.9, "eps": 1e-3, "weight_decay": 0.2}])
def test_adamw_is_that_of_optax(options):
    """State and all: runs that were saved go on."""
    ours, plain = adamw(0.1, **options), optax.adamw(0.1, **options)
    one, other = trajectory(ours, 3), trajectory(plain, 3)
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=1e-6, atol=1e-6)
    inner = [jax.tree.structure(s) for s in (ours.init(one).inner_state, plain.init(one))]
    assert inner[0] == inner[1]


def test_weight_decay_of_adamw_is_decoupled():
    params, grads = jnp.array([2.0]), jnp.array([0.0])
    tx = adamw(0.1, weight_decay=0.5)
    updates, _ = tx.update(grads, tx.init(params), params)
    assert float(updates[0]) == pytest.approx(-0.1 * 0.5 * 2.0)


def test_the_largest_second_mean_stays():
    """A gradient of 1, then none for long: without `amsgrad` the divisor is forgotten."""
    tx = adam(1.0, b1=0.0, b2=0.5, amsgrad=True)
    params, opt_state = jnp.zeros(1), tx.init(jnp.zeros(1))
    for gradient in (1.0, *[0.0] * 9, 0.1):
        updates, opt_state = tx.update(jnp.full(1, gradient), opt_state, params)
    largest, filled = 0.5, 1 - 0.5**11
    assert float(updates[0]) == pytest.approx(-0.1 / np.sqrt(largest / filled), rel=1e-5)
    assert float(jax.tree.leaves(opt_state.inner_state)[-1][0]) == largest
