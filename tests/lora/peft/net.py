"""A network of Linen with all kinds of kernels, its parameters, and adapters for it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxtrain import lora
from tests.lora import small


class Net(nn.Module):
    """Images [B, 6, 6, 3] and a token [B] each to [B, 4]."""

    @nn.compact
    def __call__(self, images, tokens):
        hidden = nn.Conv(5, (3, 2))(images)
        hidden = hidden.reshape(len(images), -1, 5) + nn.Embed(7, 5, name="embed")(tokens)[:, None]
        hidden = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=6)(hidden)
        hidden = nn.DenseGeneral((2, 3), name="split")(jnp.tanh(hidden))
        hidden = nn.DenseGeneral(4, axis=(-2, -1), name="joined")(hidden)
        return nn.Dense(4)(hidden.mean(axis=1))


IN_AXES = {"split": 1, "joined": 2}


@functools.cache
def params():
    images, tokens = jnp.zeros((1, 6, 6, 3)), jnp.zeros(1, jnp.int32)
    return Net().init(jax.random.key(0), images, tokens)["params"]


def adapter(**options):
    """One that is no longer fresh."""
    given = {"rank": 2, "alpha": 3.0, "targets": r".*", "in_axes": IN_AXES}
    config = lora.LoRAConfig(**(given | options))
    return small.trained(lora.init(jax.random.key(0), params(), config))
