"""A transformer encoder that classifies sequences.

    model: {name: encoder, vocabulary: 30000, padding_token: 0, width: 128, layers: 4}

Axes: B batch, L steps, T = B * L steps of all rows, D width, H heads, E = D / H, F width of the
feed-forward, K classes or outputs.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.models.dropout import Dropout
from jaxtrain.models.encoder_layer import Activation, EncoderLayer, NormPlace, layer_norm
from jaxtrain.models.linen import from_linen
from jaxtrain.models.mlp import Rate, Width
from jaxtrain.models.model import Model
from jaxtrain.models.positions import sinusoids
from jaxtrain.models.registry import MODELS
from jaxtrain.models.sequences import Embedding, keys_of, real_steps
from jaxtrain.models.stochastic_depth import linear_decay

Positions: TypeAlias = Literal["learned", "sinusoidal"]
Pooling: TypeAlias = Literal["mean", "class_token"]


class Encoder(nn.Module):
    """Vectors of the steps with their positions, `EncoderLayer`s, one vector a row, a dense layer.

    Features come through a dense layer of their own. Behind the last layer of the pre-norm form
    there is one more norm. Learned positions and the class token are normal of deviation 0.02 at
    the start. Padding is read by nobody; a row of padding alone has the mean 0.

    Attributes:
        num_outputs: K.
        width: D.
        layers: how many.
        heads: H.
        feed_forward: F.
        norm: "pre" or "post".
        activation: "gelu" or "relu".
        positions: "learned" or "sinusoidal".
        max_length: as many positions can be learned.
        pooling: "mean" of the real steps, or "class_token", one more step that is learned.
        dropout: the fraction that is dropped in training.
        stochastic_depth: the probability that the last layer is left out of a row in training.
        vocabulary: how many tokens there are; None where inputs are features.
        padding_token: stands in the inputs where nothing is.
    """

    num_outputs: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    feed_forward: int = 512
    norm: NormPlace = "pre"
    activation: Activation = "gelu"
    positions: Positions = "learned"
    max_length: int = 512
    pooling: Pooling = "mean"
    dropout: float = 0.1
    stochastic_depth: float = 0.0
    vocabulary: int | None = None
    padding_token: int | None = None

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        lengths: jax.Array | None = None,
        *,
        train: bool,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """Tokens `[B, L]` or features `[B, L, D]` to `[B, K]`; see `real_steps` for the rest.

        Raises:
            ConfigError: inputs of another form or other than the options say, or more steps than
                positions.
            DataError: a mask or lengths that don't fit the inputs.
        """
        real = real_steps(inputs, mask=mask, lengths=lengths, padding_token=self.padding_token)
        hidden = Embedding(self.vocabulary, self.width, name="embedding")(inputs, real)
        if self.vocabulary is None:
            hidden = nn.Dense(
                self.width, kernel_init=nn.initializers.xavier_uniform(), name="features"
            )(hidden)
        hidden = hidden + self._positions(hidden.shape[1]).astype(hidden.dtype)[None]
        if self.pooling == "class_token":
            hidden, real = self._with_class_token(hidden, real)
        hidden = Dropout(self.dropout, deterministic=not train)(hidden)
        for number, rate in enumerate(linear_decay(self.stochastic_depth, self.layers)):
            hidden = EncoderLayer(
                self.heads,
                self.feed_forward,
                self.norm,
                self.activation,
                self.dropout,
                rate,
                name=f"layer_{number}",
            )(hidden, real, train=train)
        if self.norm == "pre":
            hidden = layer_norm("norm")(hidden)
        pooled = hidden[:, 0] if self.pooling == "class_token" else mean_of_real(hidden, real)
        return nn.Dense(
            self.num_outputs, kernel_init=nn.initializers.lecun_normal(), name="output"
        )(pooled)

    def _positions(self, length: int) -> jax.Array:
        """`[L, D]` float32."""
        if self.positions == "sinusoidal":
            return sinusoids(length, self.width)
        if length > self.max_length:
            raise ConfigError(
                f"model.max_length: the inputs have {length} steps, but positions are learned for "
                f"{self.max_length}; set it to {length} or more, or model.positions=sinusoidal"
            )
        table: jax.Array = self.param(
            "positions", nn.initializers.normal(0.02), (self.max_length, self.width), jnp.float32
        )
        return table[:length]

    def _with_class_token(
        self, hidden: jax.Array, real: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """One more step in front of the others, which is real."""
        token = self.param(
            "class_token", nn.initializers.normal(0.02), (1, 1, self.width), jnp.float32
        )
        first = jnp.broadcast_to(token.astype(hidden.dtype), (len(hidden), 1, self.width))
        if real is not None:
            real = jnp.concatenate([jnp.ones_like(real[:, :1]), real], axis=1)
        return jnp.concatenate([first, hidden], axis=1), real


def mean_of_real(hidden: jax.Array, real: jax.Array | None) -> jax.Array:
    """The mean over the real steps of `[B, L, D]`: `[B, D]`, 0 where there is none."""
    if real is None:
        return jnp.mean(hidden, axis=1)
    total = jnp.where(real[..., None], hidden, 0).sum(axis=1)
    count = jnp.maximum(real.sum(axis=1, keepdims=True), 1)
    return total / count.astype(hidden.dtype)


@MODELS.register("encoder")
def encoder(
    num_outputs: int,
    *,
    width: Width = 128,
    layers: Width = 2,
    heads: Width = 4,
    feed_forward: Width = 512,
    norm: NormPlace = "pre",
    activation: Activation = "gelu",
    positions: Positions = "learned",
    max_length: Width = 512,
    pooling: Pooling = "mean",
    dropout: Rate = 0.1,
    stochastic_depth: Rate = 0.0,
    vocabulary: Width | None = None,
    padding_token: int | None = None,
    lengths: str | None = None,
) -> Model:
    """A transformer encoder on tokens `[B, L]` or features `[B, L, D]`.

    Steps that `padding_token` or `lengths` says are padding change no bit of the outputs, nor do
    those where the batch's `mask` `[B, L]` is 0. Losses read that mask, too: those of jaxtrain want
    one label a step then, and with one a row refuse it.

    Args:
        num_outputs: K.
        width: D, of the vectors that layers hand on.
        layers: how many there are.
        heads: of the attention, each of width / heads.
        feed_forward: the width in the middle of the feed-forward.
        norm: "pre", in front of attention and feed-forward, with one more behind the last layer; or
            "post", behind each sum with the residual.
        activation: of the feed-forward: "gelu", the exact one, or "relu".
        positions: "learned", or "sinusoidal", which are fixed and of any length.
        max_length: as many positions can be learned; sequences may be shorter.
        pooling: the "mean" of the real steps, or the output at a "class_token" in front.
        dropout: the fraction that is dropped in training of the vectors at the start, of what
            attention and feed-forward add, and in the middle of the feed-forward; weights of the
            attention are not dropped.
        stochastic_depth: the probability that what attention, and what the feed-forward of the last
            layer adds, is left out of a row in training; that of earlier layers grows evenly
            towards it.
        vocabulary: how many tokens there are, where inputs are tokens.
        padding_token: the token that stands where nothing is.
        lengths: the batch's entry `[B]` that says how many steps of each row are real.

    Raises:
        ConfigError: a width that heads don't divide.
    """
    if width % heads:
        raise ConfigError(
            f"model.heads: expected a number that divides model.width={width}, found {heads}"
        )
    module = Encoder(
        num_outputs,
        width,
        layers,
        heads,
        feed_forward,
        norm,
        activation,
        positions,
        max_length,
        pooling,
        dropout,
        stochastic_depth,
        vocabulary,
        padding_token,
    )
    return from_linen(module, inputs=keys_of(lengths))
