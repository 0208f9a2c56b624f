import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.models import Model, from_linen, mlp
from jaxtrain.optim import adamw, sgd
from jaxtrain.step import (
    LossScale,
    create_train_state,
    cross_entropy,
    forward,
    gradient,
    make_eval_step,
    make_train_step,
    mean_squared_error,
    objective,
    output,
    step_key,
    update,
)

SGD, FULL, HEAVY, ADAM = sgd(0.1), sgd(1.0), sgd(0.05, momentum=0.9), adamw(0.1)
LOSS, SMOOTH, SQUARE = cross_entropy(), cross_entropy(label_smoothing=0.1), mean_squared_error()


# -- what comes out --------------------------------------------------------------------------------


def test_the_output_of_a_step(prepare, linear, make_batch):
    batch = make_batch(padding=(10, 11))
    state, step = prepare(linear)
    new, output = step(state, batch)
    assert {k: (v.shape, v.dtype.name) for k, v in output.items()} == {
        "loss": ((), "float32"),
        "loss_sum": ((), "float32"),
        "loss_weight": ((), "float32"),
        "grad_norm": ((), "float32"),
        "finite": ((), "bool"),
        "learning_rate": ((), "float32"),
        "outputs": ((12, 3), "float32"),
        "labels": ((12,), "int32"),
        "mask": ((12,), "float32"),
    }
    assert float(output["loss_weight"]) == 10
    assert float(output["loss"]) == pytest.approx(float(output["loss_sum"]) / 10)
    assert float(output["learning_rate"]) == pytest.approx(0.1)
    assert bool(output["finite"])
    assert int(new.step) == 1
    np.testing.assert_array_equal(output["labels"], batch["labels"])
    np.testing.assert_array_equal(output["mask"], batch["row_mask"])


def test_without_a_mask_every_row_is_real(prepare, linear, make_batch, same_bits):
    batch = make_batch()
    state, step = prepare(linear)
    with_mask = step(state, batch)
    without = step(state, {k: v for k, v in batch.items() if k != "row_mask"})
    assert "mask" not in without[1]
    assert same_bits(with_mask[0], without[0])


def test_an_optimizer_that_keeps_no_learning_rate_puts_none_out(prepare, linear, make_batch):
    state, step = prepare(linear, optax.sgd(0.1))
    assert "learning_rate" not in step(state, make_batch())[1]


def test_the_update_is_that_of_the_gradient_of_the_mean(prepare, linear, make_batch):
    batch = make_batch()
    state, step = prepare(linear, sgd(0.5))

    def mean(w):
        each = optax.softmax_cross_entropy_with_integer_labels(batch["inputs"] @ w, batch["labels"])
        return each.mean()

    gradient = jax.grad(mean)(state.params["w"])
    new, output = step(state, batch)
    np.testing.assert_allclose(new.params["w"], state.params["w"] - 0.5 * gradient, rtol=1e-5)
    assert float(output["grad_norm"]) == pytest.approx(float(jnp.linalg.norm(gradient)), rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_models_of_both_libraries_learn_in_every_precision(prepare, model, make_batch, precision):
    batch = make_batch()
    state, step = prepare(model, HEAVY, precision=precision)
    start = state
    losses = []
    for _ in range(60):
        state, output = step(state, batch)
        losses.append(float(output["loss"]))
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    # Dtypes stay, so the step compiles once and the weights never lose their low bits.
    assert jax.tree.map(lambda x: x.dtype, state) == jax.tree.map(lambda x: x.dtype, start)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(state.params))
    assert step._cache_size() == 1
    assert output["outputs"].dtype == jnp.float32


def test_regression_learns_a_line(prepare, make_batch):
    batch = make_batch()
    batch["labels"] = batch["inputs"] @ np.arange(6, dtype=np.float32) + 1
    state, step = prepare(mlp(1, hidden=()), loss=SQUARE)
    first = float(step(state, batch)[1]["loss"])
    for _ in range(300):
        state, output = step(state, batch)
    assert float(output["loss"]) < 1e-3 * first
    assert output["outputs"].shape == (12, 1)


# -- purity ----------------------------------------------------------------------------------------


def test_the_same_state_and_batch_give_the_same_bits_and_stay_as_they_are(
    prepare, model, make_batch, same_bits
):
    batch = make_batch()
    state, step = prepare(model, accumulate=3)
    before = jax.tree.map(jnp.copy, (state, batch))
    first = step(state, batch)
    assert same_bits(first, step(state, batch))
    assert same_bits(before, (state, jax.tree.map(jnp.asarray, batch)))


def test_random_numbers_depend_on_the_step_alone(prepare, model, make_batch, same_bits):
    batch = make_batch()
    state, step = prepare(model)
    at = state
    for _ in range(3):
        at, _ = step(at, batch)
    assert same_bits(at.rng, state.rng)
    begun = {name: getattr(state, name) for name in ("params", "opt_state", "model_state")}
    walked = step(at.replace(**begun), batch)[1]["outputs"]
    straight_there = step(state.replace(step=jnp.int32(3)), batch)[1]["outputs"]
    assert same_bits(walked, straight_there)
    the_next = step(state.replace(step=jnp.int32(4)), batch)[1]["outputs"]
    assert not np.array_equal(straight_there, the_next)


# -- masks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 3])
def test_nan_and_inf_in_padding_reach_neither_loss_nor_gradient(
    prepare, plain, make_batch, same_bits, accumulate
):
    batch = make_batch(padding=(0, 1, 2, 5))
    state, step = prepare(plain, accumulate=accumulate)

    def padded_with(value):
        return batch | {"inputs": np.where(batch["row_mask"][:, None] > 0, batch["inputs"], value)}

    expected, _ = step(state, padded_with(np.float32(0)))
    for bad in (np.nan, np.inf, -np.inf):
        found, output = step(state, padded_with(np.float32(bad)))
        assert bool(output["finite"])
        assert float(output["grad_norm"]) > 0
        assert same_bits(found, expected)


def test_nan_in_padding_stays_out_of_batch_statistics(prepare, model, make_batch):
    batch = make_batch(padding=(11,))
    batch["inputs"][11] = np.nan
    state, step = prepare(model)
    new, output = step(state, batch)
    assert bool(output["finite"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((new.params, new.model_state)))


def test_padding_counts_as_if_it_were_not_there(prepare, tree_close, plain, make_batch):
    batch = make_batch(padding=(8, 9, 10, 11))
    state, step = prepare(plain, FULL)
    padded, output = step(state, batch)
    cut, cut_output = step(state, {k: v[:8] for k, v in batch.items()})
    tree_close(padded.params, cut.params, rtol=2e-6, atol=2e-7)
    assert float(output["loss"]) == pytest.approx(float(cut_output["loss"]), rel=1e-6)
    assert float(output["grad_norm"]) == pytest.approx(float(cut_output["grad_norm"]), rel=1e-6)


def test_a_batch_of_padding_alone_has_no_gradient(prepare, linear, make_batch, same_bits):
    batch = make_batch(padding=range(12))
    state, step = prepare(linear)
    new, output = step(state, batch)
    assert same_bits(new.params, state.params)
    figures = {k: float(output[k]) for k in ("loss", "grad_norm", "loss_weight")}
    assert figures == {"loss": 0, "grad_norm": 0, "loss_weight": 0}
    assert bool(output["finite"])


# -- precision -------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_the_model_computes_in_the_dtype_of_the_policy(make_batch, precision):
    seen = []

    def init(rng, batch):
        return {
            "params": {"w": jnp.ones((6, 3)), "index": jnp.arange(3)},
            "frozen": {"base": jnp.ones((6, 3))},
            "batch_stats": {"mean": jnp.zeros(3)},
        }

    def apply(variables, batch, *, train, rngs=None):
        seen.append(jax.tree.map(lambda x: x.dtype.name, (dict(variables), batch["inputs"])))
        w = variables["params"]["w"] + variables["frozen"]["base"]
        return batch["inputs"] @ w, {"batch_stats": variables["batch_stats"]}

    model = Model(init=init, apply=apply)
    tx = optax.masked(sgd(0.1), {"w": True, "index": False})
    state = create_train_state(model, tx, make_batch(), rng=jax.random.key(0), precision=precision)
    evaluate = make_eval_step(model, cross_entropy(), precision=precision)
    jax.eval_shape(evaluate, state, make_batch())
    variables, inputs = seen[-1]
    assert inputs == precision
    assert variables == {
        "params": {"w": precision, "index": "int32"},
        "frozen": {"base": precision},
        "batch_stats": {"mean": "float32"},
    }


def test_a_scale_lets_float16_see_gradients_that_it_can_not_hold(prepare, linear, make_batch):
    batch = make_batch()
    tiny = 1e-4  # gradients of about 1e-8: zero in float16

    def loss(outputs, batch):
        total, weight = cross_entropy()(outputs * tiny, batch)
        return total * tiny, weight

    state, step32 = prepare(linear, FULL, loss=loss)
    half, step16 = prepare(linear, FULL, loss=loss, precision="float16")
    exact, found = step32(state, batch)[1], step16(half, batch)[1]
    assert float(exact["grad_norm"]) < 6e-8  # the smallest float16
    assert float(found["grad_norm"]) == pytest.approx(float(exact["grad_norm"]), rel=2e-2)


def overflowing(prepare, linear, make_batch, scale):
    """A float16 state and step, and a batch whose gradient overflows at any scale above 1/16."""
    batch = make_batch()
    loud = {**batch, "inputs": batch["inputs"] * 200}

    def loss(outputs, batch):
        total, weight = cross_entropy()(outputs, batch)
        return total * 2.0**12, weight

    state, step = prepare(linear, ADAM, loss=loss, precision="float16")
    return state.replace(loss_scale=LossScale.create(scale)), step, loud


def test_an_overflow_halves_the_scale_and_is_no_fault(prepare, linear, make_batch, same_bits):
    state, step, loud = overflowing(prepare, linear, make_batch, 2.0**10)
    after, output = step(state, loud)
    assert np.isfinite(float(output["loss"]))
    assert not np.isfinite(float(output["grad_norm"]))
    assert bool(output["finite"])
    assert float(after.loss_scale.scale) == 2.0**9
    assert same_bits((after.params, after.opt_state), (state.params, state.opt_state))
    assert int(after.step) == 1


def test_an_overflow_at_the_floor_is_a_fault(prepare, linear, make_batch, same_bits):
    state, step, loud = overflowing(prepare, linear, make_batch, 1.0)
    after, output = step(state, loud)
    assert np.isfinite(float(output["loss"]))
    assert not bool(output["finite"])
    assert float(after.loss_scale.scale) == 1.0
    assert same_bits(after.params, state.params)


def test_the_scale_grows_after_the_interval_and_leaves_the_update_as_it_is(
    prepare, linear, make_batch, same_bits
):
    batch = make_batch()
    state, step = prepare(linear, precision="float16")
    ready = LossScale(jnp.float32(2.0**10), jnp.int32(LossScale.GROWTH_INTERVAL - 1))
    after, _ = step(state.replace(loss_scale=ready), batch)
    assert float(after.loss_scale.scale) == 2.0**11
    waiting, _ = step(state.replace(loss_scale=LossScale.create(2.0**10)), batch)
    assert (float(waiting.loss_scale.scale), int(waiting.loss_scale.quiet)) == (2.0**10, 1)
    assert same_bits(after.params, waiting.params)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_nothing_is_promoted_without_being_asked(prepare, plain, make_batch, precision):
    batch = make_batch(padding=(3,))
    # AdamW itself promotes: optax raises a float to the power of the int32 count.
    options = {"precision": precision, "clip_norm": 1.0}
    loss = SMOOTH
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for accumulate in (1, 2):
            state, step = prepare(plain, loss=loss, accumulate=accumulate, **options)
            step.lower(state, batch)
        jax.eval_shape(make_eval_step(plain, loss, precision=precision), state, batch)


def test_nothing_is_promoted_in_models_with_state_or_in_regression(prepare, model, make_batch):
    batch = make_batch(padding=(3,))
    target = {**batch, "labels": batch["inputs"][:, :3]}
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        state, step = prepare(model, accumulate=2)
        step.lower(state, batch)
        _, regression = prepare(model, loss=SQUARE)
        regression.lower(state, target)


# -- frozen ----------------------------------------------------------------------------------------


class OnAFrozenBase(nn.Module):
    """A dense layer that is not trained, under one that is, with statistics."""

    @nn.compact
    def __call__(self, inputs, *, train):
        base = self.variable("frozen", "base", lambda: jnp.eye(6))
        count = self.variable("count", "calls", lambda: jnp.zeros((), jnp.int32))
        if train and not self.is_initializing():
            count.value = count.value + 1
        return nn.Dense(3, use_bias=False)(inputs @ base.value)


def by_hand():
    def init(rng, batch):
        return {
            "params": {"w": jnp.ones((6, 3))},
            "frozen": {"base": jnp.eye(6)},
            "count": {"calls": jnp.zeros((), jnp.int32)},
        }

    def apply(variables, batch, *, train, rngs=None):
        outputs = batch["inputs"] @ variables["frozen"]["base"] @ variables["params"]["w"]
        return outputs, {"count": {"calls": variables["count"]["calls"] + 1}} if train else {}

    return Model(init=init, apply=apply)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("make", [by_hand, lambda: from_linen(OnAFrozenBase())])
def test_frozen_variables_are_read_and_never_changed(
    prepare, make, make_batch, same_bits, accumulate
):
    batch = make_batch()
    state, step = prepare(make(), ADAM, accumulate=accumulate)
    assert set(state.frozen) == {"base"}
    after, output = step(state, batch)
    assert same_bits(after.frozen, state.frozen)
    assert not same_bits(after.params, state.params)
    assert set(after.model_state) == {"count"}
    assert int(after.model_state["count"]["calls"]) == accumulate
    # It is an argument of the step, not a constant in it.
    doubled, more = step(state.replace(frozen={"base": 2 * state.frozen["base"]}), batch)
    np.testing.assert_allclose(more["outputs"], 2 * output["outputs"], rtol=1e-5)
    np.testing.assert_array_equal(doubled.frozen["base"], 2 * np.eye(6))
    assert step._cache_size() == 1


# -- as a function among functions ----------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5, "accumulate": 3, "ema_decay": 0.9}])
def test_a_population_of_seeds_and_learning_rates(model, make_batch, options):
    """vmap over states: each member trains as it would alone, and a bad one harms no other."""
    tx, batch = sgd(0.1), make_batch(padding=(3,))
    step = make_train_step(model, LOSS, tx, **options)
    ema = "ema_decay" in options

    def begun(seed, rate):
        state = create_train_state(model, tx, batch, rng=jax.random.key(seed), ema=ema)
        state = state.replace(rng=jax.random.key(seed))
        inner = state.opt_state
        rates = {**inner.hyperparams, "learning_rate": rate}
        return state.replace(opt_state=inner._replace(hyperparams=rates))

    seeds, rates = jnp.arange(3), jnp.float32([0.1, 0.01, jnp.nan])
    members = jax.jit(jax.vmap(begun))(seeds, rates)
    spoilt = {**batch, "inputs": np.stack([batch["inputs"]] * 3)}
    spoilt["inputs"][1, 0, 0] = np.nan
    axes = {name: 0 if name == "inputs" else None for name in batch}
    together = jax.jit(jax.vmap(step, in_axes=(0, axes)))
    after, output = together(members, spoilt)
    assert output["finite"].tolist() == [True, False, True]
    assert output["grad_norm"].shape == (3,)
    alone, said = jax.jit(step)(jax.tree.map(lambda leaf: leaf[0], members), batch)
    assert float(output["loss"][0]) == pytest.approx(float(said["loss"]), rel=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x[0], y, rtol=1e-4, atol=1e-6),
        after.params,
        alone.params,
    )
    jax.tree.map(
        lambda x, y: np.testing.assert_array_equal(x[1], y[1]), after.params, members.params
    )


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"accumulate": 3}, {"guard": False}])
def test_the_gradient_of_three_updates_with_respect_to_the_learning_rate(
    linear, make_batch, options
):
    tx = sgd(0.1, momentum=0.9)
    step = make_train_step(linear, LOSS, tx, **options)
    begun = create_train_state(linear, tx, make_batch(), rng=jax.random.key(0))

    @jax.jit
    def after_three(rate):
        inner = begun.opt_state
        rates = {**inner.hyperparams, "learning_rate": rate}
        state = begun.replace(opt_state=inner._replace(hyperparams=rates))
        for _ in range(3):
            state, _ = step(state, make_batch())
        return step(state, make_batch())[1]["loss"]

    slope = float(jax.jit(jax.grad(after_three))(jnp.float32(0.1)))
    width = 0.02
    secant = float(after_three(0.1 + width) - after_three(0.1 - width)) / (2 * width)
    assert abs(slope) > 0.05
    assert slope == pytest.approx(secant, rel=2e-2)


def test_a_step_made_of_the_parts_by_hand(linear, make_batch, same_bits):
    """The one in the docstring of `train_step`."""
    tx, batch = sgd(0.5, momentum=0.9), make_batch(padding=(2,))
    differentiate, apply = gradient(objective(forward(linear), LOSS)), update(tx)

    @jax.jit
    def step(state, batch):
        found = differentiate(state, batch, step_key(state))
        params, opt_state = apply(found.grads, state.opt_state, state.params)
        state = state.replace(step=state.step + 1, params=params, opt_state=opt_state)
        return state, output(found.total, found.weight, found.seen, batch)

    state = create_train_state(linear, tx, batch, rng=jax.random.key(0))
    by_hand, said = step(state, batch)
    made, expected = jax.jit(make_train_step(linear, LOSS, tx))(state, batch)
    assert same_bits(by_hand, made)
    assert set(expected) - set(said) == {"grad_norm", "finite", "learning_rate"}


def test_the_learning_rate_put_out_is_float32(linear, make_batch):
    tx = optax.inject_hyperparams(optax.sgd, hyperparam_dtype=jnp.bfloat16)(0.5)
    state = create_train_state(linear, tx, make_batch(), rng=jax.random.key(0))
    rate = make_train_step(linear, LOSS, tx)(state, make_batch())[1]["learning_rate"]
    assert (rate.dtype, float(rate)) == (jnp.float32, 0.5)


def test_what_is_frozen_stays_whatever_the_optimizer_does(prepare, plain, make_batch, same_bits):
    """Weight decay moves what has no gradient; the norm is that of what has one."""
    batch = make_batch()
    state, step = prepare(plain, ADAM, freeze=("hidden_0/*",))
    _, free = prepare(plain, ADAM)
    (new, said), (other, also) = step(state, batch), free(state, batch)
    assert same_bits(new.params["hidden_0"], state.params["hidden_0"])
    assert not same_bits(other.params["hidden_0"], state.params["hidden_0"])
    assert not same_bits(new.params["output"], state.params["output"])
    assert 0 < float(said["grad_norm"]) < float(also["grad_norm"])
