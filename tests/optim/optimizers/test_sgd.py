import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import sgd
from tests.optim.parity import assert_theirs, cases, trajectory


@cases("sgd")
def test_it_is_pytorchs(case):
    assert_theirs(case)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_without_dampening_it_is_that_of_optax(options):
    """State and all: runs that were saved go on."""
    ours, plain = sgd(0.1, **options), optax.sgd(0.1, **{"momentum": None, **options})
    one, other = trajectory(ours, 3), trajectory(plain, 3)
    for name, value in one.items():
        # And a unit of the largest: what nearly cancels differs by that from program to program.
        unit = np.finfo(np.float32).eps * abs(value).max()
        np.testing.assert_allclose(value, other[name], rtol=1e-6, atol=unit)
    inner = [jax.tree.structure(s) for s in (ours.init(one).inner_state, plain.init(one))]
    assert inner[0] == inner[1]


def test_weight_decay_goes_through_the_momentum():
    params, grads = jnp.array([2.0]), jnp.array([1.0])
    tx = sgd(0.1, momentum=0.5, weight_decay=0.25)
    opt_state = tx.init(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    assert float(updates[0]) == pytest.approx(-0.1 * (1.0 + 0.25 * 2.0))
    updates, _ = tx.update(grads, opt_state, params)
    assert float(updates[0]) == pytest.approx(-0.1 * (0.5 * 1.5 + 1.5))


def test_without_momentum_it_keeps_no_state_of_the_size_of_the_parameters():
    params = jnp.ones(100)
    assert all(leaf.size == 1 for leaf in jax.tree.leaves(sgd(0.1).init(params)))


@pytest.mark.parametrize("dampening", [0.0, 0.5])
def test_it_runs_under_strict_promotion(dampening):
    # Adam does not: optax raises a float32 decay to an int32 count.
    tx = sgd(1e-2, momentum=0.9, weight_decay=0.1, dampening=dampening)
    with jax.numpy_dtype_promotion("strict"):
        assert trajectory(tx, 2)["a_bias"].any()


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "nesterov": True}])
def test_dampening_wants_momentum_and_no_nesterov(options):
    with pytest.raises(ConfigError, match=r"optimizer.dampening: wants momentum, and no nesterov"):
        sgd(0.1, dampening=0.5, **options)
