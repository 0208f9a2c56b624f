import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import (
    adamw,
    averaged_leaves,
    evaluates_others,
    evaluation_params,
    group_names,
    grouped,
    lookahead,
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


def test_of_groups_each_has_its_own_average_and_what_is_frozen_stays():
    """As if each were alone, with an interpolation of its own."""
    kinds = {"": schedule_free_adamw(0.05), "b": schedule_free_sgd(0.1, b1=0.5)}
    kinds["c"] = optax.set_to_zero()
    start = jax.tree.map(jnp.asarray, {"a": problem()[2], "b_frozen": jnp.ones(3)})
    patterns = {"b": ("*bias",), "c": ("b_frozen",)}
    tx = grouped(kinds, patterns)
    names = group_names(start, patterns)
    assert {"", "b", "c"} == set(jax.tree.leaves(names))

    def walked(tx, params):
        opt_state = tx.init(params)
        for count in range(5):
            grads = jax.tree.map(lambda p, count=count: jnp.cos(p + count), params)
            changes, opt_state = tx.update(grads, opt_state, params)
            params = optax.apply_updates(params, changes)
        return params, opt_state

    params, opt_state = walked(tx, start)
    seen = evaluation_params(opt_state, params)
    assert jax.tree.structure(seen) == jax.tree.structure(start)
    assert averaged_leaves(opt_state, params) == jax.tree.map(lambda name: name != "c", names)
    alone = {}
    for name in ("", "b"):
        ones, ones_state = walked(kinds[name], start)
        alone[name] = evaluation_params(ones_state, ones)
    expected = jax.tree.map(
        lambda name, x, y, first: {"": x, "b": y, "c": first}[name],
        names,
        alone[""],
        alone["b"],
        start,
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), seen, expected
    )
    np.testing.assert_array_equal(seen["b_frozen"], start["b_frozen"])
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), seen["a"], params["a"])
    assert all(value > 1e-3 for value in jax.tree.leaves(apart))


def test_what_is_narrower_than_float32_is_refused():
    """In bfloat16 the sum of weights stands still after 256 updates."""
    params = {"w": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2), "n": jnp.ones(2, jnp.int32)}
    with pytest.raises(ConfigError, match="in float32, found bfloat16, in which"):
        schedule_free_sgd(0.1).init(params)


def test_slow_weights_are_refused():
    """They would move the parameters away from under the average."""
    tx = lookahead(schedule_free_sgd(0.1))
    with pytest.raises(ConfigError, match=r"lookahead: .*an average of its own"):
        tx.init({"w": jnp.ones(2)})
