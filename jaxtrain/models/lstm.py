"""An LSTM that classifies sequences.

    model: {name: lstm, vocabulary: 30000, padding_token: 0, width: 128, bidirectional: true}

Axes: B batch, L steps, D features, H width, K classes or outputs.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from jaxtrain.models.linen import from_linen
from jaxtrain.models.mlp import Rate, Width
from jaxtrain.models.model import Model
from jaxtrain.models.recurrent import (
    Recurrent,
    State,
    orthogonal_gates,
    over_steps,
    refuse_idle_dropout,
)
from jaxtrain.models.registry import MODELS
from jaxtrain.models.sequences import keys_of


class LSTMLayer(nn.Module):
    """One direction of a layer (Hochreiter and Schmidhuber 1997), as PyTorch defines it.

        i, f, o = sigmoid(x W_i + h U_i + b_i), ...         g = tanh(x W_g + h U_g + b_g)
        c' = f c + i g                                      h' = o tanh(c')

    Gates stand in the order i, f, g, o. PyTorch keeps two biases that are only ever added up; here
    there is their sum. PyTorch draws all parameters evenly from ±1 / sqrt(H); here kernels of
    inputs are LeCun normal, those of the state orthogonal, and biases 0 but for the forget gate's
    1, so that at the start a state, and a gradient on its way back, lasts for many steps
    (Jozefowicz et al. 2015).
    """

    width: int
    reverse: bool = False

    @nn.compact
    def __call__(self, inputs: jax.Array, counts: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """`[L, B, D]` to the outputs `[L, B, H]` and the last one `[B, H]`; see `over_steps`."""
        products = nn.Dense(
            4 * self.width,
            kernel_init=nn.initializers.lecun_normal(),
            bias_init=_remembering,
            name="inputs",
        )(inputs)
        kernel = self.param("kernel", orthogonal_gates, (self.width, 4 * self.width), jnp.float32)
        products, kernel = promote_dtype(products, kernel)

        def step(state: State, product: jax.Array) -> State:
            output, cell = state
            i, f, g, o = jnp.split(product + output @ kernel, 4, axis=-1)
            cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
            return nn.sigmoid(o) * jnp.tanh(cell), cell

        zeros = jnp.zeros((inputs.shape[1], self.width), products.dtype)
        return over_steps(step, (zeros, zeros), products, counts, reverse=self.reverse)


def _remembering(key: jax.Array, shape: tuple[int], dtype: Any) -> jax.Array:
    width = shape[0] // 4
    return jnp.zeros(shape, dtype).at[width : 2 * width].set(1)


@MODELS.register("lstm")
def lstm(
    num_outputs: int,
    *,
    width: Width = 128,
    layers: Width = 1,
    bidirectional: bool = False,
    dropout: Rate = 0.0,
    vocabulary: Width | None = None,
    embedding: Width = 128,
    padding_token: int | None = None,
    lengths: str | None = None,
) -> Model:
    """An LSTM on features `[B, L, D]` or tokens `[B, L]`, of which it reads the last output.

    Steps that `padding_token` or `lengths` says are padding change no bit of the outputs, nor do
    those where the batch's `mask` `[B, L]` is 0. Losses read that mask, too: those of jaxtrain want
    one label a step then, and with one a row refuse it.

    Args:
        num_outputs: K.
        width: H, of each direction of each layer.
        layers: how many there are.
        bidirectional: have each layer run from both ends.
        dropout: the fraction of a layer's outputs that the next one does not see in training.
        vocabulary: how many tokens there are, where inputs are tokens.
        embedding: the width of the tokens' vectors.
        padding_token: the token that stands where nothing is.
        lengths: the batch's entry `[B]` that says how many steps of each row are real.

    Raises:
        ConfigError: dropout with nothing to drop.
    """
    refuse_idle_dropout(dropout, layers)
    module = Recurrent(
        num_outputs,
        LSTMLayer,
        width,
        layers,
        bidirectional,
        dropout,
        vocabulary,
        embedding,
        padding_token,
    )
    return from_linen(module, inputs=keys_of(lengths))
