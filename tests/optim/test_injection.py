import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import (
    grouped,
    injected,
    learning_rate,
    refuse_fixed_rate,
    sgd,
    with_learning_rate,
)

PARAMS = {"w": jnp.ones(3)}
GRADS = {"w": jnp.full(3, 2.0)}


def test_a_number_can_be_read_and_changed():
    tx = injected(optax.sgd, 0.5)
    opt_state = tx.init(PARAMS)
    assert float(learning_rate(opt_state)) == 0.5
    opt_state.hyperparams["learning_rate"] = jnp.float32(0.25)
    updates, opt_state = jax.jit(tx.update)(GRADS, opt_state, PARAMS)
    np.testing.assert_array_equal(updates["w"], -0.5)
    assert float(learning_rate(opt_state)) == 0.25


def test_after_an_update_the_rate_read_is_the_rate_used():
    tx = injected(optax.sgd, lambda step: 1.0 / (1.0 + step))
    opt_state = tx.init(PARAMS)
    used = []
    for _ in range(3):
        updates, opt_state = tx.update(GRADS, opt_state, PARAMS)
        used.append(-float(updates["w"][0]) / 2.0)
        assert float(learning_rate(opt_state)) == pytest.approx(used[-1])
    assert used == pytest.approx([1.0, 1 / 2, 1 / 3])


def test_the_rate_is_found_inside_other_transformations():
    tx = optax.chain(optax.clip(1.0), optax.masked(injected(optax.adam, 0.125), {"w": True}))
    assert float(learning_rate(tx.init(PARAMS))) == 0.125


def test_an_optimizer_that_keeps_none_gives_none():
    assert learning_rate(optax.adam(1e-3).init(PARAMS)) is None
    other = optax.inject_hyperparams(optax.scale_by_adam)(b1=0.5)
    assert learning_rate(other.init(PARAMS)) is None


def test_the_rate_is_float32_whatever_the_parameters():
    tx = injected(optax.sgd, 1e-3)
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    updates, opt_state = tx.update(params, tx.init(params), params)
    assert learning_rate(opt_state).dtype == jnp.float32
    assert float(learning_rate(opt_state)) == np.float32(1e-3)
    assert optax.apply_updates(params, updates)["w"].dtype == jnp.bfloat16


def test_a_rate_is_replaced_where_it_is_found():
    tx = optax.chain(optax.clip(1.0), injected(optax.sgd, 0.5))
    opt_state = tx.init(PARAMS)
    other = with_learning_rate(opt_state, 0.25)
    assert (float(learning_rate(opt_state)), float(learning_rate(other))) == (0.5, 0.25)
    assert jax.tree.structure(other) == jax.tree.structure(opt_state)
    updates, _ = tx.update(GRADS, other, PARAMS)
    np.testing.assert_array_equal(updates["w"], -0.25)


def test_a_compiled_update_takes_it_as_the_one_before():
    tx = injected(optax.sgd, 0.5)
    update = jax.jit(tx.update)
    device = jax.devices()[0]
    _, opt_state = update(GRADS, jax.device_put(tx.init(PARAMS), device), PARAMS)
    before = opt_state.hyperparams["learning_rate"]
    opt_state = with_learning_rate(opt_state, 0.25)
    after = opt_state.hyperparams["learning_rate"]
    assert (after.sharding, after.dtype) == (before.sharding, before.dtype)
    update(GRADS, opt_state, PARAMS)
    assert update._cache_size() == 1


@pytest.mark.parametrize(
    ("tx", "message"),
    [
        (injected(optax.sgd, lambda step: 0.5), "a schedule's, which sets it anew"),
        (optax.sgd(0.5), "keeps no learning rate in its state; make it by jaxtrain.optim.injected"),
    ],
)
def test_one_that_can_not_be_changed_says_so(tx, message):
    opt_state = tx.init(PARAMS)
    with pytest.raises(ConfigError, match=message):
        with_learning_rate(opt_state, 0.25)
    with pytest.raises(ConfigError, match=message):
        refuse_fixed_rate(jax.eval_shape(tx.init, PARAMS))


def test_of_several_rates_the_one_that_is_found_takes_the_others_along():
    tx = optax.chain(injected(optax.sgd, 0.5), injected(optax.sgd, 0.25))
    first, second = with_learning_rate(tx.init(PARAMS), 0.125)
    assert float(first.hyperparams["learning_rate"]) == 0.125
    assert float(second.hyperparams["learning_rate"]) == 0.0625


def test_rates_of_groups_go_with_the_others_in_proportion():
    params = {"a": jnp.ones(2), "b": jnp.ones(2), "c": jnp.ones(2)}
    tx = grouped({"": sgd(0.1), "b": sgd(0.5), "c": optax.set_to_zero()}, {"b": ["b"], "c": ["c"]})
    state = with_learning_rate(tx.init(params), 0.02)
    assert float(learning_rate(state)) == pytest.approx(0.02)
    changes, _ = tx.update(params, state, params)
    assert [round(-float(changes[name][0]), 6) for name in "abc"] == [0.02, 0.1, 0.0]


def test_a_schedule_in_any_group_is_refused():
    tx = grouped({"": sgd(0.1), "b": sgd(lambda count: 0.1)}, {"b": ["b"]})
    with pytest.raises(ConfigError, match="is a schedule's"):
        refuse_fixed_rate(tx.init({"a": jnp.ones(1), "b": jnp.ones(1)}))
