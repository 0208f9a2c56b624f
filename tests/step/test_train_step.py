import functools

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
    global_norm,
    guard,
    make_eval_step,
    make_train_step,
    mean_squared_error,
    train_step,
)

SGD, FULL, HEAVY, ADAM = sgd(0.1), sgd(1.0), sgd(0.05, momentum=0.9), adamw(0.1)
LOSS, SMOOTH, SQUARE = cross_entropy(), cross_entropy(label_smoothing=0.1), mean_squared_error()


@functools.cache
def prepare(model, tx=SGD, *, loss=LOSS, precision="float32", **options):
    """A state and a compiled step; both are pure, so tests can share them."""
    batch = {"inputs": np.zeros((12, 6), np.float32)}
    state = create_train_state(model, tx, batch, rng=jax.random.key(0), precision=precision)
    return state, jax.jit(make_train_step(model, loss, tx, precision=precision, **options))


def tree_close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


# -- what comes out ------------------------------------------------------------------------------


def test_the_output_of_a_step(linear, make_batch):
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


def test_without_a_mask_every_row_is_real(linear, make_batch, same_bits):
    batch = make_batch()
    state, step = prepare(linear)
    with_mask = step(state, batch)
    without = step(state, {k: v for k, v in batch.items() if k != "row_mask"})
    assert "mask" not in without[1]
    assert same_bits(with_mask[0], without[0])


def test_an_optimizer_that_keeps_no_learning_rate_puts_none_out(linear, make_batch):
    state, step = prepare(linear, optax.sgd(0.1))
    assert "learning_rate" not in step(state, make_batch())[1]


def test_the_update_is_that_of_the_gradient_of_the_mean(linear, make_batch):
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
def test_models_of_both_libraries_learn_in_every_precision(model, make_batch, precision):
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


def test_regression_learns_a_line(make_batch):
    batch = make_batch()
    batch["labels"] = batch["inputs"] @ np.arange(6, dtype=np.float32) + 1
    state, step = prepare(mlp(1, hidden=()), loss=SQUARE)
    first = float(step(state, batch)[1]["loss"])
    for _ in range(300):
        state, output = step(state, batch)
    assert float(output["loss"]) < 1e-3 * first
    assert output["outputs"].shape == (12, 1)


# -- purity --------------------------------------------------------------------------------------


def test_the_same_state_and_batch_give_the_same_bits_and_stay_as_they_are(
    model, make_batch, same_bits
):
    batch = make_batch()
    state, step = prepare(model, accumulate=3)
    before = jax.tree.map(jnp.copy, (state, batch))
    first = step(state, batch)
    assert same_bits(first, step(state, batch))
    assert same_bits(before, (state, jax.tree.map(jnp.asarray, batch)))


def test_random_numbers_depend_on_the_step_alone(model, make_batch, same_bits):
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


# -- accumulation --------------------------------------------------------------------------------

UNEVEN = (0, 1, 2, 5)  # of 3 micro-batches of 4 rows: 1, 3 and 4 rows are real


def test_accumulation_is_exact_with_unequal_masks(plain, make_batch):
    batch = make_batch(padding=UNEVEN)
    state, whole = prepare(plain, FULL)
    _, accumulated = prepare(plain, FULL, accumulate=3)
    (one, one_out), (three, three_out) = whole(state, batch), accumulated(state, batch)
    tree_close(one.params, three.params, rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(one_out["outputs"], three_out["outputs"], rtol=1e-5, atol=1e-6)
    for name in ("loss", "loss_sum", "grad_norm"):
        assert float(one_out[name]) == pytest.approx(float(three_out[name]), rel=1e-6)
    for name in ("loss_weight", "labels", "mask"):
        np.testing.assert_array_equal(one_out[name], three_out[name])

    # What a mean of means would have done is visibly something else.
    parts = [{k: v[i : i + 4] for k, v in batch.items()} for i in (0, 4, 8)]
    each = [whole(state, part)[0].params for part in parts]
    wrong = jax.tree.map(lambda *p: sum(p) / 3, *each)
    gap = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), one.params, wrong)
    assert max(jax.tree.leaves(gap)) > 1e-2


def test_a_micro_batch_of_padding_alone_changes_nothing(linear, make_batch):
    batch = make_batch(padding=(4, 5, 6, 7))
    state, whole = prepare(linear)
    _, accumulated = prepare(linear, accumulate=3)
    one, three = whole(state, batch), accumulated(state, batch)
    tree_close(one[0].params, three[0].params, rtol=2e-6, atol=2e-7)
    assert bool(three[1]["finite"])


def test_micro_batches_have_dropout_keys_of_their_own(make_batch):
    def apply(variables, batch, *, train, rngs=None):
        noise = jax.random.normal(rngs["dropout"], (batch["inputs"].shape[0], 3))
        return noise + 0.0 * variables["params"]["w"], {}

    model = Model(init=lambda rng, batch: {"params": {"w": jnp.ones(())}}, apply=apply)
    state, step = prepare(model, accumulate=3)
    first, second, third = np.split(np.asarray(step(state, make_batch())[1]["outputs"]), 3)
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)


def test_batch_statistics_pass_through_every_micro_batch(model, make_batch):
    batch = make_batch()
    state, step = prepare(model, accumulate=3)

    @jax.jit
    def forward(model_state, micro):
        variables = state.replace(model_state=model_state).variables()
        return model.apply(variables, micro, train=True, rngs={"dropout": jax.random.key(0)})[1]

    expected = state.model_state
    for i in (0, 4, 8):
        expected = forward(expected, {k: v[i : i + 4] for k, v in batch.items()})
    found = step(state, batch)[0].model_state
    tree_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_batch_that_does_not_split(linear, make_batch):
    state, step = prepare(linear, accumulate=5)
    with pytest.raises(ValueError, match="micro-batches") as error:
        step(state, make_batch())
    assert str(error.value) == (
        "a batch of 12 can't be split into accumulate=5 micro-batches; "
        "choose a batch size that is a multiple"
    )


@pytest.mark.parametrize("accumulate", [0, -2])
def test_accumulate_counts_from_one(linear, accumulate):
    with pytest.raises(ValueError, match=f"expected at least 1, found {accumulate}"):
        make_train_step(linear, cross_entropy(), sgd(0.1), accumulate=accumulate)


# -- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 3])
def test_nan_and_inf_in_padding_reach_neither_loss_nor_gradient(
    plain, make_batch, same_bits, accumulate
):
    batch = make_batch(padding=UNEVEN)
    state, step = prepare(plain, accumulate=accumulate)

    def padded_with(value):
        return batch | {"inputs": np.where(batch["row_mask"][:, None] > 0, batch["inputs"], value)}

    expected, _ = step(state, padded_with(np.float32(0)))
    for bad in (np.nan, np.inf, -np.inf):
        found, output = step(state, padded_with(np.float32(bad)))
        assert bool(output["finite"])
        assert float(output["grad_norm"]) > 0
        assert same_bits(found, expected)


def test_nan_in_padding_stays_out_of_batch_statistics(model, make_batch):
    batch = make_batch(padding=(11,))
    batch["inputs"][11] = np.nan
    state, step = prepare(model)
    new, output = step(state, batch)
    assert bool(output["finite"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((new.params, new.model_state)))


def test_padding_counts_as_if_it_were_not_there(plain, make_batch):
    batch = make_batch(padding=(8, 9, 10, 11))
    state, step = prepare(plain, FULL)
    padded, output = step(state, batch)
    cut, cut_output = step(state, {k: v[:8] for k, v in batch.items()})
    tree_close(padded.params, cut.params, rtol=2e-6, atol=2e-7)
    assert float(output["loss"]) == pytest.approx(float(cut_output["loss"]), rel=1e-6)
    assert float(output["grad_norm"]) == pytest.approx(float(cut_output["grad_norm"]), rel=1e-6)


def test_a_batch_of_padding_alone_has_no_gradient(linear, make_batch, same_bits):
    batch = make_batch(padding=range(12))
    state, step = prepare(linear)
    new, output = step(state, batch)
    assert same_bits(new.params, state.params)
    figures = {k: float(output[k]) for k in ("loss", "grad_norm", "loss_weight")}
    assert figures == {"loss": 0, "grad_norm": 0, "loss_weight": 0}
    assert bool(output["finite"])


# -- clipping ------------------------------------------------------------------------------------


def test_a_large_gradient_is_scaled_down_to_the_norm(linear, make_batch):
    batch = make_batch()
    state, free = prepare(linear, FULL)
    _, clipped = prepare(linear, FULL, clip_norm=1e-2)
    (far, far_out), (near, near_out) = free(state, batch), clipped(state, batch)
    long = far.params["w"] - state.params["w"]
    short = near.params["w"] - state.params["w"]
    assert float(jnp.linalg.norm(short)) == pytest.approx(1e-2, rel=1e-4)
    factor = 1e-2 / float(far_out["grad_norm"])
    np.testing.assert_allclose(short, long * factor, rtol=1e-3, atol=1e-7)
    # What is put out is the norm before clipping: what a person wants to see.
    assert float(near_out["grad_norm"]) == float(far_out["grad_norm"]) > 1e-2


def test_a_small_gradient_is_left_alone(linear, make_batch, same_bits):
    state, free = prepare(linear)
    _, clipped = prepare(linear, clip_norm=1e6)
    assert same_bits(free(state, make_batch()), clipped(state, make_batch()))


def test_global_norm_is_the_norm_of_all_leaves_together():
    tree = {"a": jnp.array([[3.0, 0.0]]), "b": (jnp.array(4.0), jnp.zeros((0, 2)))}
    assert float(global_norm(tree)) == 5.0
    assert float(global_norm(tree)) == pytest.approx(float(optax.tree.norm(tree)))
    assert float(global_norm({})) == 0.0
    assert global_norm({"a": jnp.ones(4, jnp.bfloat16)}).dtype == jnp.float32


# -- what is not finite --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tx", "options"),
    [
        (HEAVY, {"precision": "float32"}),
        (HEAVY, {"precision": "bfloat16"}),
        (HEAVY, {"precision": "float16"}),
        (SGD, {"accumulate": 3}),
    ],
)
def test_nan_in_the_input_changes_nothing_but_the_step(model, make_batch, same_bits, tx, options):
    batch = make_batch()
    bad = {**batch, "inputs": batch["inputs"].copy()}
    bad["inputs"][7, 2] = np.nan
    state, step = prepare(model, tx, **options)
    state, _ = step(state, batch)  # moments and statistics are not at their start any more
    after, output = step(state, bad)
    assert not bool(output["finite"])
    assert np.isnan(float(output["loss"]))
    for name in ("params", "opt_state", "model_state", "frozen", "rng"):
        assert same_bits(getattr(after, name), getattr(state, name)), name
    assert int(after.step) == int(state.step) + 1 == 2
    recovered, output = step(after, batch)
    assert bool(output["finite"])
    assert not same_bits(recovered.params, after.params)


@pytest.mark.parametrize("form", [guard.by_branch, guard.by_select])
def test_an_update_is_left_out_in_either_way(plain, make_batch, same_bits, monkeypatch, form):
    batch = make_batch()
    bad = {**batch, "inputs": np.full_like(batch["inputs"], np.nan)}
    state, shared = prepare(plain, HEAVY)
    expected, _ = shared(state, batch)
    monkeypatch.setattr(train_step, "guarded", form)  # a GPU selects, a CPU branches
    step = jax.jit(make_train_step(plain, LOSS, HEAVY))
    taken, _ = step(state, batch)
    tree_close(taken.params, expected.params, rtol=1e-6)
    after, _ = step(taken, bad)
    assert same_bits((after.params, after.opt_state), (taken.params, taken.opt_state))


def test_a_gpu_is_not_asked_to_branch(plain, make_batch):
    state, step = prepare(plain, HEAVY)
    traced = step.trace(state, make_batch())
    texts = {to: traced.lower(lowering_platforms=(to,)).as_text() for to in ("cpu", "cuda")}
    # In both there are those, of constants, that choose what is for the platform.
    cases = {to: text.count("stablehlo.case") for to, text in texts.items()}
    assert cases["cpu"] == cases["cuda"] + 1
    assert texts["cuda"].count("stablehlo.select") > texts["cpu"].count("stablehlo.select")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_statistics_may_be_written_in_the_dtype_that_is_computed_in(make_batch, precision):
    class Means(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train):
            means = self.variable("statistics", "means", lambda: jnp.zeros(6, jnp.float32))
            if train:
                means.value = inputs.mean(0)
            return nn.Dense(3)(inputs)

    batch = make_batch()
    state, step = prepare(from_linen(Means()), precision=precision)
    after, _ = step(state, batch)
    means = after.model_state["statistics"]["means"]
    assert means.dtype == jnp.float32
    np.testing.assert_allclose(means, batch["inputs"].mean(0), atol=1e-2)


def test_a_gradient_that_is_not_finite_under_a_finite_loss(linear, make_batch, same_bits):
    def root(outputs, batch):
        return jnp.sqrt(outputs * 0).sum() + 1, jnp.float32(12)  # the slope of a root at 0

    state, step = prepare(linear, loss=root)
    after, output = step(state, make_batch())
    assert np.isfinite(float(output["loss"]))
    assert not np.isfinite(float(output["grad_norm"]))
    assert not bool(output["finite"])
    assert same_bits(after.params, state.params)


# -- precision -----------------------------------------------------------------------------------


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


def test_a_scale_lets_float16_see_gradients_that_it_can_not_hold(linear, make_batch):
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


def overflowing(linear, make_batch, scale):
    """A float16 state and step, and a batch whose gradient overflows at any scale above 1/16."""
    batch = make_batch()
    loud = {**batch, "inputs": batch["inputs"] * 200}

    def loss(outputs, batch):
        total, weight = cross_entropy()(outputs, batch)
        return total * 2.0**12, weight

    state, step = prepare(linear, ADAM, loss=loss, precision="float16")
    return state.replace(loss_scale=LossScale.create(scale)), step, loud


def test_an_overflow_halves_the_scale_and_is_no_fault(linear, make_batch, same_bits):
    state, step, loud = overflowing(linear, make_batch, 2.0**10)
    after, output = step(state, loud)
    assert np.isfinite(float(output["loss"]))
    assert not np.isfinite(float(output["grad_norm"]))
    assert bool(output["finite"])
    assert float(after.loss_scale.scale) == 2.0**9
    assert same_bits((after.params, after.opt_state), (state.params, state.opt_state))
    assert int(after.step) == 1


def test_an_overflow_at_the_floor_is_a_fault(linear, make_batch, same_bits):
    state, step, loud = overflowing(linear, make_batch, 1.0)
    after, output = step(state, loud)
    assert np.isfinite(float(output["loss"]))
    assert not bool(output["finite"])
    assert float(after.loss_scale.scale) == 1.0
    assert same_bits(after.params, state.params)


def test_the_scale_grows_after_the_interval_and_leaves_the_update_as_it_is(
    linear, make_batch, same_bits
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
def test_nothing_is_promoted_without_being_asked(plain, make_batch, precision):
    batch = make_batch(padding=(3,))
    # AdamW itself promotes: optax raises a float to the power of the int32 count.
    options = {"precision": precision, "clip_norm": 1.0}
    loss = SMOOTH
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for accumulate in (1, 2):
            state, step = prepare(plain, loss=loss, accumulate=accumulate, **options)
            step.lower(state, batch)
        jax.eval_shape(make_eval_step(plain, loss, precision=precision), state, batch)


def test_nothing_is_promoted_in_models_with_state_or_in_regression(model, make_batch):
    batch = make_batch(padding=(3,))
    target = {**batch, "labels": batch["inputs"][:, :3]}
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        state, step = prepare(model, accumulate=2)
        step.lower(state, batch)
        _, regression = prepare(model, loss=SQUARE)
        regression.lower(state, target)


# -- frozen --------------------------------------------------------------------------------------


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
def test_frozen_variables_are_read_and_never_changed(make, make_batch, same_bits, accumulate):
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


# -- evaluation ----------------------------------------------------------------------------------


def test_evaluation_leaves_the_state_and_draws_no_random_numbers(model, make_batch, same_bits):
    batch = make_batch(padding=(10, 11))
    state, _ = prepare(model)
    evaluate = make_eval_step(model, cross_entropy())
    assert evaluate(state, batch)[0] is state
    compiled = jax.jit(evaluate)
    after, output = compiled(state, batch)
    assert same_bits(after, state)
    assert {k: v.shape for k, v in output.items()} == {
        "loss": (),
        "loss_sum": (),
        "loss_weight": (),
        "outputs": (12, 3),
        "labels": (12,),
        "mask": (12,),
    }
    other_step = state.replace(step=jnp.int32(9), rng=jax.random.key(9))
    assert same_bits(compiled(other_step, batch)[1], output)
    assert float(output["loss_weight"]) == 10
    # Rows do not see each other: running statistics are used, not the batch's.
    alone = compiled(state, jax.tree.map(lambda x: np.repeat(x[:1], 12, 0), batch))[1]
    np.testing.assert_allclose(alone["outputs"][0], output["outputs"][0], rtol=1e-5, atol=1e-6)


def test_evaluation_of_padding_alone_is_zero(linear, make_batch):
    batch = make_batch(padding=range(12))
    state, _ = prepare(linear)
    output = make_eval_step(linear, cross_entropy())(state, batch)[1]
    assert (float(output["loss"]), float(output["loss_weight"])) == (0.0, 0.0)
