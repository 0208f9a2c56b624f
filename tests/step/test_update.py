"""The update: what optimizers want to know, and the moving average."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from jaxtrain.errors import ConfigError
from jaxtrain.optim import injected, sgd
from jaxtrain.step import (
    create_train_state,
    cross_entropy,
    make_eval_step,
    make_train_step,
    moved,
    update,
)
from jaxtrain.step.update import average_of

SGD = sgd(0.5)


def test_an_update_is_that_of_optax():
    params, tx = {"w": jnp.ones(3)}, optax.adam(0.1)
    grads, opt_state = {"w": jnp.arange(3.0)}, tx.init(params)
    changes, expected = tx.update(grads, opt_state, params)
    found, after = update(tx)(grads, opt_state, params, value=1.0)
    np.testing.assert_array_equal(found["w"], params["w"] + changes["w"])
    jax.tree.map(np.testing.assert_array_equal, after, expected)


def test_a_transformation_that_takes_three_arguments_is_given_three():
    descent = optax.GradientTransformation(
        lambda params: (), lambda updates, state, params=None: (-updates, state)
    )
    params, _ = update(descent)(jnp.float32(2), (), jnp.float32(5), value=1.0, value_fn=abs)
    assert float(params) == 3.0


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"precision": "float16"}])
def test_a_transformation_that_wants_the_loss_gets_it(linear, make_batch, options, wrapped):
    plateau = contrib.reduce_on_plateau(factor=0.5, patience=1, cooldown=0)
    tx = (
        injected(lambda rate: optax.chain(optax.sgd(rate), plateau), 0.1)
        if wrapped
        else optax.chain(optax.sgd(0.1), plateau)
    )
    batch = make_batch()
    state = create_train_state(
        linear, tx, batch, rng=jax.random.key(0), precision=options.get("precision", "float32")
    )
    step = jax.jit(
        make_train_step(linear, lambda outputs, batch: (outputs.sum() * 0 + 7, 1), tx, **options)
    )
    for _ in range(5):
        state, output = step(state, batch)
    inner = state.opt_state.inner_state if wrapped else state.opt_state
    assert float(inner[1].best_value) == float(output["loss"]) == 7.0
    assert float(inner[1].scale) < 1  # a loss that stands still lowers the rate


@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"clip_norm": 100.0}])
def test_a_line_search_finds_the_loss_of_the_batch(linear, make_batch, options):
    tx, batch = optax.lbfgs(), make_batch(padding=(3,))
    state = create_train_state(linear, tx, batch, rng=jax.random.key(0))
    step = jax.jit(make_train_step(linear, cross_entropy(), tx, **options))
    losses = []
    for _ in range(8):
        state, output = step(state, batch)
        assert bool(output["finite"])
        losses.append(float(output["loss"]))
    assert losses == sorted(losses, reverse=True)
    plain = create_train_state(linear, SGD, batch, rng=jax.random.key(0))
    descend = jax.jit(make_train_step(linear, cross_entropy(), SGD))
    for _ in range(8):
        plain, slow = descend(plain, batch)
    assert losses[-1] < float(slow["loss"])


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_loss_can_be_asked_for_at_other_parameters(linear, make_batch, accumulate):
    """What a transformation gets: the loss, the gradient, and the loss as a function."""

    def look(updates, state, params, *, value, grad, value_fn, **extra):
        there = value_fn(jax.tree.map(jnp.zeros_like, params))
        return updates, {"value": value, "here": value_fn(params), "there": there, "grad": grad}

    def begin(params):
        zero = jnp.float32(0)
        return {"value": zero, "here": zero, "there": zero, "grad": params}

    tx = optax.chain(optax.GradientTransformationExtraArgs(begin, look), optax.sgd(1.0))
    batch = make_batch(padding=(1, 2))
    state = create_train_state(linear, tx, batch, rng=jax.random.key(0))
    after, output = jax.jit(make_train_step(linear, cross_entropy(), tx, accumulate=accumulate))(
        state, batch
    )
    seen = after.opt_state[0]
    assert float(seen["value"]) == float(output["loss"])
    assert float(seen["here"]) == pytest.approx(float(output["loss"]), rel=1e-6)
    assert float(seen["there"]) == pytest.approx(np.log(3), rel=1e-6)
    np.testing.assert_allclose(
        state.params["w"] - after.params["w"], seen["grad"]["w"], rtol=1e-4, atol=1e-6
    )


# -- the moving average ---------------------------------------------------------------------------


def averaged(linear, make_batch, **options):
    state = create_train_state(linear, SGD, make_batch(), rng=jax.random.key(0), ema=True)
    step = make_train_step(linear, cross_entropy(), SGD, ema_decay=0.75, **options)
    return state, jax.jit(step)


def test_the_average_begins_at_the_parameters_and_follows_them(linear, make_batch):
    state, step = averaged(linear, make_batch)
    expected = np.array(state.params["w"])
    np.testing.assert_array_equal(state.ema["w"], expected)
    for seed in range(30):
        state, _ = step(state, make_batch(seed=seed))
        decay = min(0.75, (1 + seed) / (10 + seed))  # 1/10 at first, 0.75 from the 27th on
        expected = decay * expected + (1 - decay) * np.array(state.params["w"])
        np.testing.assert_allclose(state.ema["w"], expected, rtol=1e-5, atol=1e-7)
    assert not np.allclose(state.ema["w"], state.params["w"], rtol=1e-3)


def test_the_average_has_buffers_of_its_own(linear, make_batch):
    state, _ = averaged(linear, make_batch)
    own, other = state.ema["w"], state.params["w"]
    assert own.unsafe_buffer_pointer() != other.unsafe_buffer_pointer()


def test_the_average_stays_where_an_update_is_left_out(linear, make_batch, same_bits):
    state, step = averaged(linear, make_batch)
    state, _ = step(state, make_batch())
    bad = make_batch()
    bad["inputs"][0, 0] = np.nan
    after, output = step(state, bad)
    assert not bool(output["finite"])
    assert same_bits(after.ema, state.ema)


def test_evaluation_takes_the_average_where_it_is_told_to(linear, make_batch):
    state, step = averaged(linear, make_batch)
    batch = make_batch()
    state, _ = step(state, batch)
    figures = [
        make_eval_step(linear, cross_entropy(), ema=ema)(state, batch)[1]["outputs"]
        for ema in (False, True)
    ]
    np.testing.assert_allclose(figures[0], batch["inputs"] @ state.params["w"], rtol=1e-5)
    np.testing.assert_allclose(figures[1], batch["inputs"] @ state.ema["w"], rtol=1e-5)
    assert not np.allclose(*figures, rtol=1e-3)


def test_an_average_nobody_moves_is_no_average(linear, make_batch):
    batch = make_batch()
    with_it, moving = averaged(linear, make_batch)
    without = with_it.replace(ema=None)
    resting = make_train_step(linear, cross_entropy(), SGD)
    with pytest.raises(ConfigError, match="an average that this step does not move"):
        resting(with_it, batch)
    with pytest.raises(ConfigError, match="ema_decay: the state has no average"):
        moving(without, batch)
    with pytest.raises(ConfigError, match="the state has no average"):
        make_eval_step(linear, cross_entropy(), ema=True)(without, batch)
    for wrong in (1.0, -0.1):
        with pytest.raises(ConfigError, match=f"ema_decay: expected .* found {wrong}"):
            make_train_step(linear, cross_entropy(), SGD, ema_decay=wrong)


def test_an_average_of_narrow_parameters_is_float32():
    params = {"w": jnp.ones(2, jnp.bfloat16), "n": jnp.int32(3)}
    average = average_of(params)
    assert (average["w"].dtype, average["n"].dtype) == (jnp.float32, jnp.int32)
    after = moved(average, {"w": jnp.zeros(2, jnp.bfloat16), "n": jnp.int32(4)}, decay=0.999)
    np.testing.assert_allclose(after["w"], 0.999, rtol=1e-6)
    assert int(after["n"]) == 4
