"""The gradient, of a whole batch or of micro-batches: exact, in every dtype, for every tree."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.models import Model, from_linen
from jaxtrain.optim import adamw, sgd
from jaxtrain.step import (
    accumulated,
    create_train_state,
    cross_entropy,
    forward,
    gradient,
    make_train_step,
    objective,
    scaled,
)
from jaxtrain.step.gradient import value

FULL = sgd(1.0)
UNEVEN = (0, 1, 2, 5)  # of 3 micro-batches of 4 rows: 1, 3 and 4 rows are real


def test_accumulation_is_exact_with_unequal_masks(prepare, tree_close, plain, make_batch):
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


def test_a_micro_batch_of_padding_alone_changes_nothing(prepare, tree_close, linear, make_batch):
    batch = make_batch(padding=(4, 5, 6, 7))
    state, whole = prepare(linear)
    _, accumulated = prepare(linear, accumulate=3)
    one, three = whole(state, batch), accumulated(state, batch)
    tree_close(one[0].params, three[0].params, rtol=2e-6, atol=2e-7)
    assert bool(three[1]["finite"])


def test_micro_batches_have_dropout_keys_of_their_own(prepare, make_batch):
    def apply(variables, batch, *, train, rngs=None):
        noise = jax.random.normal(rngs["dropout"], (batch["inputs"].shape[0], 3))
        return noise + 0.0 * variables["params"]["w"], {}

    model = Model(init=lambda rng, batch: {"params": {"w": jnp.ones(())}}, apply=apply)
    state, step = prepare(model, accumulate=3)
    first, second, third = np.split(np.asarray(step(state, make_batch())[1]["outputs"]), 3)
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)


def test_batch_statistics_pass_through_every_micro_batch(prepare, tree_close, model, make_batch):
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


def test_a_batch_that_does_not_split(prepare, linear, make_batch):
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


# -- what passes through, and what comes out ------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("name", ["alpha", "zeta"])
def test_a_leaf_without_rows_reaches_every_micro_batch_whole(prepare, make_batch, accumulate, name):
    seen = []

    def apply(variables, batch, *, train, rngs=None):
        seen.append((batch["inputs"].shape[0], batch[name].shape, batch["table"].shape))
        return batch["inputs"] @ variables["params"]["w"] * batch[name], {}

    model = Model(init=lambda rng, batch: {"params": {"w": jnp.ones((6, 3))}}, apply=apply)
    batch = {name: np.float32(0.5), "table": np.ones((7, 2), np.float32), **make_batch(12)}
    state, step = prepare(model, accumulate=accumulate)
    after, output = step(state, batch)
    assert (12 // accumulate, (), (7, 2)) in seen
    assert output["outputs"].shape == (12, 3)
    assert bool(output["finite"])
    assert not np.array_equal(after.params["w"], state.params["w"])


class Heads(nn.Module):
    """Two heads in a dict, hidden layers in a tuple, and leaves without a batch axis."""

    @nn.compact
    def __call__(self, inputs):
        hidden = nn.Dense(4)(inputs)
        return {
            "digit": nn.Dense(3)(hidden),
            "layers": (hidden, nn.Dense(2)(hidden)),
            "temperature": jnp.float32(2.0) + 0 * hidden.sum(),
            "norms": jnp.square(hidden).sum(axis=0),
        }


@pytest.mark.parametrize("accumulate", [1, 3])
def test_outputs_may_be_trees_with_leaves_that_have_no_rows(prepare, make_batch, accumulate):
    model, batch = from_linen(Heads()), make_batch()
    loss = cross_entropy(outputs="digit")
    state, step = prepare(model, loss=loss, accumulate=accumulate)
    after, output = step(state, batch)
    parts = () if accumulate == 1 else (3,)
    assert jax.tree.map(jnp.shape, output["outputs"]) == {
        "digit": (12, 3),
        "layers": ((12, 4), (12, 2)),
        "temperature": parts,
        "norms": (*parts, 4),  # as many as a micro-batch has rows
    }
    _, whole = prepare(model, loss=loss)
    expected_state, expected = whole(state, batch)
    np.testing.assert_allclose(
        output["outputs"]["digit"], expected["outputs"]["digit"], rtol=1e-5, atol=1e-6
    )
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
        after.params,
        expected_state.params,
    )


def test_statistics_in_another_dtype_pass_through_micro_batches(prepare, make_batch):
    def apply(variables, batch, *, train, rngs=None):
        stats = {"stats": {"mean": batch["inputs"].mean(0)}} if train else {}
        return batch["inputs"] @ variables["params"], stats

    def init(rng, batch):
        return {"params": jnp.ones((6, 3)), "stats": {"mean": jnp.zeros(6)}}

    batch = make_batch()
    state, step = prepare(Model(init=init, apply=apply), accumulate=3, precision="bfloat16")
    mean = step(state, batch)[0].model_state["stats"]["mean"]
    assert mean.dtype == jnp.float32
    np.testing.assert_allclose(mean, batch["inputs"][8:].mean(0), atol=1e-2)


# -- dtypes ---------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "adam": optax.adam(0.01, eps=1e-3),
    "adamw": adamw(0.01, eps=1e-3),
    "masked": optax.masked(optax.adam(0.01, eps=1e-3), True),
    "schedule": optax.adamw(optax.cosine_decay_schedule(0.01, 100), eps=1e-3),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_parameters_of_any_dtype_train_and_keep_it(
    make_batch, dtype, clip_norm, accumulate, optimizer
):
    model = from_linen(nn.Dense(3, param_dtype=dtype))
    tx, batch = OPTIMIZERS[optimizer], make_batch(padding=(3, 11))
    state = create_train_state(model, tx, batch, rng=jax.random.key(0), ema=True)
    start = state
    step = jax.jit(
        make_train_step(
            model,
            cross_entropy(),
            tx,
            clip_norm=clip_norm,
            accumulate=accumulate,
            ema_decay=0.9,
        )
    )
    for _ in range(3):
        state, output = step(state, batch)
        assert bool(output["finite"])
    assert jax.tree.map(lambda x: x.dtype, state) == jax.tree.map(lambda x: x.dtype, start)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {dtype}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.ema)} == {"float32"}
    assert output["grad_norm"].dtype == jnp.float32
    assert step._cache_size() == 1
    assert not np.array_equal(state.params["kernel"], start.params["kernel"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_clipping_scales_what_the_norm_says_in_every_combination(
    prepare, linear, make_batch, precision, accumulate
):
    """The loss scale, the weight of the batch and the clipping are one factor."""
    batch = make_batch(padding=UNEVEN)
    options = {"precision": precision, "accumulate": accumulate}
    state, free = prepare(linear, FULL, **options)
    _, clipped = prepare(linear, FULL, clip_norm=1e-2, **options)
    (far, far_out), (near, near_out) = free(state, batch), clipped(state, batch)
    long, short = (new.params["w"] - state.params["w"] for new in (far, near))
    norm = float(far_out["grad_norm"])
    assert norm == float(near_out["grad_norm"]) > 0.1
    assert float(jnp.linalg.norm(long)) == pytest.approx(norm, rel=1e-4)
    assert float(jnp.linalg.norm(short)) == pytest.approx(1e-2, rel=1e-3)
    np.testing.assert_allclose(short, long * (1e-2 / norm), rtol=2e-3, atol=1e-7)
    exact = prepare(linear, FULL)[1](prepare(linear, FULL)[0], batch)[1]
    assert norm == pytest.approx(float(exact["grad_norm"]), rel=2e-2)


def test_gradients_of_narrow_parameters_are_summed_in_float32(make_batch):
    """Of 256 micro-batches: a sum in bfloat16 stands still where it is 256 times a term."""

    def apply(variables, batch, *, train, rngs=None):
        return batch["inputs"] * variables["params"], {}

    def loss(outputs, batch):
        return outputs.sum(), jnp.float32(len(outputs))

    model = Model(init=lambda rng, batch: {"params": jnp.ones((), jnp.bfloat16)}, apply=apply)
    batch, tx = {"inputs": np.ones(1024, np.float32)}, optax.sgd(1.0)
    state = create_train_state(model, tx, batch, rng=jax.random.key(0))
    minimised = objective(forward(model), loss)
    found = accumulated(minimised, 512)(state, batch, state.rng)
    assert float(found.grads * found.factor) == 1.0
    (grad,) = jax.tree.leaves(scaled(found.grads, found.factor, state.params))
    assert (grad.dtype, float(grad)) == (jnp.bfloat16, 1.0)


def test_a_gradient_without_a_factor_is_left_as_it_is(linear, make_batch):
    batch = make_batch()
    state = create_train_state(linear, FULL, batch, rng=jax.random.key(0))
    found = gradient(objective(forward(linear), cross_entropy()))(state, batch, state.rng)
    assert found.factor is None
    assert scaled(found.grads, None, state.params) is found.grads


def test_the_loss_along_a_line_is_that_of_the_gradient(model, make_batch):
    """`value` gives what `gradient` and `accumulated` are gradients of, with the same keys."""
    batch = make_batch(padding=UNEVEN)
    state = create_train_state(model, FULL, batch, rng=jax.random.key(0))
    minimised = objective(forward(model), cross_entropy())
    for parts in (1, 3):
        found = accumulated(minimised, parts)(state, batch, state.rng)
        along, gradients = jax.value_and_grad(value(minimised, parts))(
            state.params, state, batch, state.rng
        )
        assert float(along) == pytest.approx(float(found.total / found.weight), rel=1e-6)
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
            scaled(found.grads, found.factor, state.params),
            gradients,
        )
