"""A layer of a transformer encoder: attention and a feed-forward, each beside a residual.

    hidden = EncoderLayer(heads=4, feed_forward=512)(hidden, real, train=train)

Attention looks in both directions, so it is not that of `attention.py`, whose kernels are causal.

Axes: B batch, L steps, T = B * L steps of all rows, D width, H heads, E = D / H.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxtrain.models.dropout import Dropout
from jaxtrain.models.stochastic_depth import StochasticDepth

NormPlace: TypeAlias = Literal["pre", "post"]
Activation: TypeAlias = Literal["gelu", "relu"]
Branch: TypeAlias = Callable[[jax.Array], jax.Array]


def _gelu(inputs: jax.Array) -> jax.Array:
    """The exact one, by `erf` as PyTorch has it: JAX's own form, by `erfc`, takes longer."""
    half = 0.5 * inputs
    return half + half * jax.lax.erf(inputs * 0.5**0.5)


_ACTIVATIONS: dict[Activation, Branch] = {"gelu": _gelu, "relu": nn.relu}


class EncoderLayer(nn.Module):
    """What `torch.nn.TransformerEncoderLayer` computes (Vaswani et al. 2017, arXiv:1706.03762).

        post    x = norm(x + attention(x)); x = norm(x + feed_forward(x))
        pre     x = x + attention(norm(x)); x = x + feed_forward(norm(x))

    Post-norm is the form of the paper; pre-norm (Xiong et al. 2020, arXiv:2002.04745) trains
    without warm-up. Dropout is as in PyTorch, but that weights of the attention are not dropped.
    Kernels are Xavier uniform, those of queries, keys and values as one; biases are 0.
    """

    heads: int
    feed_forward: int
    norm: NormPlace = "pre"
    activation: Activation = "gelu"
    dropout: float = 0.0
    stochastic_depth: float = 0.0

    @nn.compact
    def __call__(self, hidden: jax.Array, real: jax.Array | None, *, train: bool) -> jax.Array:
        """`[B, L, D]` to `[B, L, D]`; steps where `real` `[B, L]` is False are read by nobody."""
        attention = SelfAttention(self.heads, name="attention")
        hidden = self._beside(hidden, lambda x: attention(x, real), "attention", train)
        return self._beside(hidden, lambda x: self._fed_forward(x, train), "feed_forward", train)

    def _beside(self, hidden: jax.Array, branch: Branch, name: str, train: bool) -> jax.Array:
        """A branch with its norm, dropout and residual."""
        norm = layer_norm(f"{name}_norm")
        added = branch(norm(hidden) if self.norm == "pre" else hidden)
        added = Dropout(self.dropout, deterministic=not train)(added)
        added = StochasticDepth(self.stochastic_depth, name=f"{name}_depth")(added, train=train)
        total = hidden + added
        return norm(total) if self.norm == "post" else total

    def _fed_forward(self, hidden: jax.Array, train: bool) -> jax.Array:
        middle = _ACTIVATIONS[self.activation](dense(self.feed_forward, "expand", hidden))
        middle = Dropout(self.dropout, deterministic=not train)(middle)
        return dense(hidden.shape[-1], "project", middle)


class SelfAttention(nn.Module):
    """`softmax(q k^T / sqrt(E)) v` over all real steps of a row, the softmax in float32."""

    heads: int

    @nn.compact
    def __call__(self, hidden: jax.Array, real: jax.Array | None) -> jax.Array:
        """`[B, L, D]` to `[B, L, D]`."""
        batch, length, width = hidden.shape
        both = dense(3 * width, "qkv", hidden)
        q, k, v = jnp.split(both.reshape(batch, length, 3 * self.heads, -1), 3, axis=2)
        mask = None if real is None else real[:, None, None, :]
        # JAX's own form promotes narrow inputs implicitly, also where the user forbids that.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            mixed = jax.nn.dot_product_attention(q, k, v, mask=mask, implementation="xla")
        return dense(width, "out", mixed.reshape(batch, length, width))


def dense(features: int, name: str, inputs: jax.Array) -> jax.Array:
    """A dense layer of the module that is called, over `[B, L, D]` as `[T, D]`.

    The gradient of a kernel then contracts one axis instead of two, which on a CPU is faster.
    """
    layer = nn.Dense(features, kernel_init=nn.initializers.xavier_uniform(), name=name)
    outputs: jax.Array = layer(inputs.reshape(-1, inputs.shape[-1]))
    return outputs.reshape(*inputs.shape[:-1], features)


def layer_norm(name: str) -> nn.LayerNorm:
    """With PyTorch's epsilon; Flax's own is a tenth of it."""
    return nn.LayerNorm(epsilon=1e-5, name=name)
