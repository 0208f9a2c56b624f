"""A classifier of sequences by recurrent layers; `lstm.py` and `gru.py` say what a layer computes.

    module = Recurrent(10, LSTMLayer, width=128, layers=2, bidirectional=True)
    logits = module.apply(variables, inputs, train=False, mask=mask)

The products with the inputs are taken of all steps at once; only that with the state is taken step
by step. Time is the first axis from the first layer to the last, as a scan wants it.

Axes: B batch, L steps, D features, H width of a layer, G gates, K classes or outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.models.dropout import Dropout
from jaxtrain.models.sequences import Embedding, real_steps

State = tuple[jax.Array, ...]
"""What a layer carries from step to step, `[B, H]` each; the first is its output."""


class Recurrent(nn.Module):
    """Layers over a sequence, then a dense layer to K outputs of the last one's last output.

    That is the output behind a row's last real step, and of a backward direction that behind its
    first one. Padding is passed over wherever it stands, and leaves every bit as it is; a row of
    padding alone gives the dense layer zeros.

    Attributes:
        num_outputs: K.
        layer: makes one direction of a layer, of `width`, `reverse` and `name`.
        width: H, of each direction.
        layers: how many.
        bidirectional: whether each layer also runs from the last step to the first; the outputs of
            both directions stand side by side.
        dropout: the fraction of a layer's outputs that the next one does not see in training.
        vocabulary: how many tokens there are; None where inputs are features.
        embedding: the width of tokens' vectors.
        padding_token: stands in the inputs where nothing is.
    """

    num_outputs: int
    layer: Callable[..., Any]
    width: int
    layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    vocabulary: int | None = None
    embedding: int = 128
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
            ConfigError: inputs of another form, or other than the options say.
            DataError: a mask or lengths that don't fit the inputs.
        """
        real = real_steps(inputs, mask=mask, lengths=lengths, padding_token=self.padding_token)
        hidden = Embedding(self.vocabulary, self.embedding, name="embedding")(inputs, real)
        hidden = hidden.swapaxes(0, 1)
        counts = None if real is None else real.T[..., None]
        directions = ("forward", "backward") if self.bidirectional else ("forward",)
        last: list[jax.Array] = []
        for number in range(self.layers):
            if number:
                hidden = Dropout(self.dropout, deterministic=not train)(hidden)
            outputs, last = [], []
            for direction in directions:
                layer = self.layer(
                    self.width, reverse=direction == "backward", name=f"{direction}_{number}"
                )
                every, final = layer(hidden, counts)
                outputs.append(every)
                last.append(final)
            hidden = jnp.concatenate(outputs, axis=-1)
        return nn.Dense(
            self.num_outputs, kernel_init=nn.initializers.lecun_normal(), name="output"
        )(jnp.concatenate(last, axis=-1))


def over_steps(
    step: Callable[[State, jax.Array], State],
    begin: State,
    products: jax.Array,
    counts: jax.Array | None,
    *,
    reverse: bool,
) -> tuple[jax.Array, jax.Array]:
    """Take `step(state, products)` after `step`.

    Args:
        step: from a state and the products of a step's inputs to the next state.
        begin: the first state.
        products: `[L, B, G * H]`.
        counts: `[L, B, 1]` bools, False where a state stays as it is; None where all steps count.
        reverse: whether it goes from the last step to the first.

    Returns:
        The output of every step `[L, B, H]`, and that of the last one taken `[B, H]`.
    """

    def taken(state: State, now: tuple[jax.Array, jax.Array | None]) -> tuple[State, jax.Array]:
        product, real = now
        found = step(state, product)
        if real is not None:
            found = tuple(jnp.where(real, new, old) for new, old in zip(found, state, strict=True))
        return found, found[0]

    state, outputs = jax.lax.scan(taken, begin, (products, counts), reverse=reverse)
    return outputs, state[0]


def orthogonal_gates(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """`[H, G * H]`: for each gate an orthogonal matrix of its own (Saxe et al. 2013,
    arXiv:1312.6120), which neither lengthens nor shortens what it is applied to step after step.
    """
    width = shape[0]
    make = nn.initializers.orthogonal()
    keys = jax.random.split(key, shape[1] // width)
    return jnp.concatenate([make(each, (width, width), dtype) for each in keys], axis=1)


def refuse_idle_dropout(dropout: float, layers: int) -> None:
    """See that there is something to drop.

    Raises:
        ConfigError: dropout between the layers, and one layer.
    """
    if dropout and layers == 1:
        raise ConfigError(
            f"model.dropout: {dropout} is for what one layer hands to the next, but there is one "
            "layer; set model.layers=2 or more, or model.dropout=0"
        )
