"""What a model may do inside the step: other inputs, other random streams, sown values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from jaxtrain.models import from_linen
from jaxtrain.step import create_train_state, cross_entropy, make_train_step

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


def test_sown_values_stay_out_of_the_state():
    class Sowing(nn.Module):
        @nn.compact
        def __call__(self, x):
            self.sow("losses", "size", x.sum())
            return nn.Dense(2)(x)

    before, after, _ = first_step(from_linen(Sowing()), {"inputs": IMAGES, "labels": LABELS})
    assert jax.tree.structure(before) == jax.tree.structure(after)


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
