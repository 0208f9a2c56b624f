import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.optim import (
    OPTIMIZERS,
    adamw,
    evaluates_others,
    evaluation_params,
    schedule_free_adamw,
    schedule_free_sgd,
)
from tests.optim.parity import assert_same, by_numpy, loss_of, problem


def evaluated(tx, updates):
    """The trained parameters and those to evaluate."""
    params = jax.tree.map(jnp.asarray, problem()[2])
    opt_state = tx.init(params)

    @jax.jit
    def step(params, opt_state):
        changes, opt_state = tx.update(jax.grad(loss_of)(params), opt_state, params)
        return optax.apply_updates(params, changes), opt_state

    for _ in range(updates):
        params, opt_state = step(params, opt_state)
    as_numpy = [
        {name: np.asarray(x, np.float64) for name, x in tree.items()}
        for tree in (params, evaluation_params(opt_state, params))
    ]
    return *as_numpy, opt_state


@pytest.mark.parametrize("base", ["sgd", "adamw"])
def test_it_is_the_papers(base):
    """Equations 2 to 4 of arXiv:2405.15682, of AdamW its algorithm 1; the averages weigh alike."""
    rate, beta, b2, eps, decay = 0.05, 0.8, 0.95, 1e-4, 0.1
    z, x, v = {}, {}, {}

    def step(params, grads, t):
        new = {}
        for name, y in params.items():
            g = grads[name]
            z.setdefault(name, y), x.setdefault(name, y)
            if base == "adamw":
                v[name] = b2 * v.get(name, 0.0) + (1 - b2) * g * g
                g = g / (np.sqrt(v[name] / (1 - b2**t)) + eps)
            z[name] = z[name] - rate * (g + decay * y)
            x[name] = (1 - 1 / t) * x[name] + z[name] / t
            new[name] = (1 - beta) * z[name] + beta * x[name]
        return new

    tx = (
        schedule_free_sgd(rate, b1=beta, weight_decay=decay)
        if base == "sgd"
        else schedule_free_adamw(rate, b1=beta, b2=b2, eps=eps, weight_decay=decay)
    )
    trained, to_evaluate, opt_state = evaluated(tx, 40)
    assert_same(trained, by_numpy(step, 40))
    assert_same(to_evaluate, x)
    assert evaluates_others(opt_state)
    assert np.abs(trained["a_kernel"] - to_evaluate["a_kernel"]).max() > 1e-3


def test_of_others_the_parameters_are_what_is_evaluated():
    params = {"w": jnp.ones(2)}
    opt_state = adamw(0.1).init(params)
    assert evaluation_params(opt_state, params) is params
    assert not evaluates_others(opt_state)


def test_no_config_can_name_it():
    """A run would evaluate, and export, the wrong parameters."""
    assert not [name for name in OPTIMIZERS.names() if "free" in name]
