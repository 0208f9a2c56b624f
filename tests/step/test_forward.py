"""One reading of a batch: other inputs, other random streams, dtypes, padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxtrain.models import Model, from_linen
from jaxtrain.step import (
    create_train_state,
    cross_entropy,
    forward,
    make_eval_step,
    make_train_step,
    step_key,
    streams,
)

IMAGES = np.ones((4, 3), np.float32)
LABELS = np.zeros(4, np.int32)


def first_step(model, batch, precision="float32"):
    tx = optax.sgd(0.1)
    state = create_train_state(model, tx, batch, rng=jax.random.key(0), precision=precision)
    step = jax.jit(make_train_step(model, cross_entropy(), tx, precision=precision))
    return (state, *step(state, batch))


def test_inputs_of_another_name_are_cast_and_used():
    seen = []

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            seen.append(x.dtype)
            return nn.Dense(2)(x)

    model = from_linen(Net(), inputs="image")
    _, _, output = first_step(model, {"image": IMAGES, "labels": LABELS}, "bfloat16")
    assert seen[-1] == jnp.bfloat16
    assert bool(output["finite"])


def test_a_random_stream_of_another_name():
    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2)(x + jax.random.normal(self.make_rng("noise"), x.shape))

    _, _, output = first_step(from_linen(Noisy()), {"inputs": IMAGES, "labels": LABELS})
    assert np.isfinite(output["loss"])


def test_statistics_that_overflow_are_not_kept():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = nn.BatchNorm(use_running_average=not train)(x)
            return nn.Dense(2)(x)

    huge = np.array([[1e25], [-1e25], [1e25], [-1e25]], np.float32)
    before, after, output = first_step(from_linen(Net()), {"inputs": huge, "labels": LABELS})
    assert not bool(output["finite"])
    same = jax.tree.map(np.array_equal, before.model_state, after.model_state)
    assert all(jax.tree.leaves(same))


class TwoInputs:
    """`left @ a + right @ b`, written by hand; remembers the dtypes that it saw."""

    def __init__(self):
        self.seen = []

    def model(self):
        def init(rng, batch):
            return {"params": {"a": jnp.ones((3, 2)), "b": jnp.ones((3, 2))}}

        def apply(variables, batch, *, train, rngs=None):
            self.seen.append({name: value.dtype.name for name, value in batch.items()})
            params = variables["params"]
            return batch["left"] @ params["a"] + batch["right"] @ params["b"], {}

        return Model(init=init, apply=apply)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_and_evaluation_read_a_batch_in_one_way(precision):
    two = TwoInputs()
    batch = {
        "left": IMAGES,
        "right": IMAGES,
        "labels": LABELS,
        "row_mask": np.ones(4, np.float32),
        "mask": np.ones(4, np.float32),
    }
    state, _, _ = first_step(two.model(), batch, precision)
    evaluate = make_eval_step(two.model(), cross_entropy(), precision=precision)
    _, output = evaluate(state, batch)
    assert np.isfinite(output["loss"])
    kept = {"labels": "int32", "row_mask": "float32", "mask": "float32"}
    assert all(seen == {"left": precision, "right": precision, **kept} for seen in two.seen)
    assert len(two.seen) == 2


def test_inputs_of_another_name_are_evaluated():
    model = from_linen(nn.Dense(2), inputs="tokens")
    batch = {"tokens": IMAGES, "labels": LABELS}
    state, _, _ = first_step(model, batch)
    _, output = make_eval_step(model, cross_entropy())(state, batch)
    np.testing.assert_allclose(
        output["outputs"], nn.Dense(2).apply({"params": state.params}, IMAGES), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["row_mask", "mask"])
def test_nan_in_padding_is_zero_in_evaluation_as_in_training(name):
    two = TwoInputs()
    spoilt = IMAGES.copy()
    spoilt[3] = np.nan
    batch = {"left": IMAGES, "right": spoilt, "labels": LABELS, name: np.float32([1, 1, 1, 0])}
    state, _, trained = first_step(two.model(), batch)
    _, output = make_eval_step(two.model(), cross_entropy())(state, batch)
    for said in (trained, output):
        assert np.isfinite(said["outputs"]).all()
        assert np.isfinite(said["loss"])
    batch = {name: value for name, value in batch.items() if name != "mask"} | {
        "row_mask": np.ones(4, np.float32)
    }
    _, output = make_eval_step(two.model(), cross_entropy())(state, batch)
    assert np.isnan(output["loss"])  # in a real row it is not hidden


def test_scalars_and_python_numbers_pass_through():
    def apply(variables, batch, *, train, rngs=None):
        return batch["inputs"] * batch["alpha"] * variables["params"], {}

    run = forward(Model(init=None, apply=apply), "bfloat16")
    batch = {"alpha": 0.5, "inputs": np.ones((4, 2)), "row_mask": np.ones(4)}
    seen = run({"params": jnp.float32(3)}, batch, train=False)
    np.testing.assert_array_equal(seen.outputs, np.full((4, 2), 1.5))
    assert seen.outputs.dtype == jnp.float32


def test_what_a_model_gives_is_sorted():
    def apply(variables, batch, *, train, rngs=None):
        updated = {"params": 9, "frozen": 9, "stats": jnp.ones(1), "losses": {"kl": (1.0,)}}
        return (jnp.ones(2, jnp.bfloat16), jnp.arange(2)), updated

    run = forward(Model(init=None, apply=apply))
    variables = {"params": jnp.zeros(1), "frozen": jnp.zeros(1), "stats": jnp.zeros(1)}
    trained = run(variables, {}, train=True)
    assert (set(trained.changes), set(trained.sown)) == ({"stats"}, {"losses"})
    assert [out.dtype.name for out in trained.outputs] == ["float32", "int32"]
    evaluated = run(variables, {}, train=False)
    assert (set(evaluated.changes), set(evaluated.sown)) == (set(), {"losses"})


def test_the_keys_of_a_step():
    """`fold_in(rng, step)` for dropout, another one for every other stream."""
    seen = {}

    def apply(variables, batch, *, train, rngs=None):
        seen.update({name: jax.random.key_data(key) for name, key in rngs.items()})
        return batch["inputs"] @ variables["params"], {}

    model = Model(init=lambda rng, batch: {"params": jnp.ones((3, 2))}, apply=apply)
    batch, tx = {"inputs": IMAGES, "labels": LABELS}, optax.sgd(0.1)
    state = create_train_state(model, tx, batch, rng=jax.random.key(7)).replace(step=jnp.int32(5))
    make_train_step(model, cross_entropy(), tx)(state, batch)
    key = jax.random.fold_in(state.rng, 5)
    np.testing.assert_array_equal(jax.random.key_data(step_key(state)), jax.random.key_data(key))
    assert set(seen) == {"dropout", "params"} == set(streams(key))
    np.testing.assert_array_equal(seen["dropout"], jax.random.key_data(key))
    np.testing.assert_array_equal(seen["params"], jax.random.key_data(jax.random.fold_in(key, 1)))
    assert not np.array_equal(seen["params"], seen["dropout"])
