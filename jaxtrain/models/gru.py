"""A GRU that classifies sequences.

    model: {name: gru, vocabulary: 30000, padding_token: 0, width: 128, layers: 2, dropout: 0.2}

Axes: B batch, L steps, D features, H width, K classes or outputs.
"""

from __future__ import annotations

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


class GRULayer(nn.Module):
    """One direction of a layer (Cho et al. 2014, arXiv:1406.1078), as PyTorch defines it.

        r, z = sigmoid(x W_r + h U_r + b_r), ...            n = tanh(x W_n + b_n + r (h U_n + c))
        h' = (1 - z) n + z h

    The reset gate comes behind the product with the state (cuDNN's form). Gates stand in the order
    r, z, n. PyTorch keeps two biases of each gate; of r and z there is here their sum, of n there
    are both, `b_n` and `c` (`bias`). Kernels of inputs are LeCun normal, those of the state
    orthogonal, biases 0; PyTorch draws all evenly from ±1 / sqrt(H).
    """

    width: int
    reverse: bool = False

    @nn.compact
    def __call__(self, inputs: jax.Array, counts: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """`[L, B, D]` to the outputs `[L, B, H]` and the last one `[B, H]`; see `over_steps`."""
        products = nn.Dense(
            3 * self.width, kernel_init=nn.initializers.lecun_normal(), name="inputs"
        )(inputs)
        kernel = self.param("kernel", orthogonal_gates, (self.width, 3 * self.width), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        products, kernel, bias = promote_dtype(products, kernel, bias)

        def step(state: State, product: jax.Array) -> State:
            (output,) = state
            of_state = output @ kernel
            gates = nn.sigmoid(product[:, : 2 * self.width] + of_state[:, : 2 * self.width])
            reset, keep = jnp.split(gates, 2, axis=-1)
            new = jnp.tanh(
                product[:, 2 * self.width :] + reset * (of_state[:, 2 * self.width :] + bias[None])
            )
            return ((1 - keep) * new + keep * output,)

        zeros = jnp.zeros((inputs.shape[1], self.width), products.dtype)
        return over_steps(step, (zeros,), products, counts, reverse=self.reverse)


@MODELS.register("gru")
def gru(
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
    """A GRU on features `[B, L, D]` or tokens `[B, L]`, of which it reads the last output.

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
        GRULayer,
        width,
        layers,
        bidirectional,
        dropout,
        vocabulary,
        embedding,
        padding_token,
    )
    return from_linen(module, inputs=keys_of(lengths))
