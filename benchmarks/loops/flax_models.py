"""The tasks' models in Flax, for the engine and for the loop by hand.

    model = flax_model(TASKS["transformer"])
    variables = model.init(jax.random.key(0), {"inputs": tokens})

Axes: B batch, L length, W width, H heads, V vocabulary.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks.loops.tasks import HEADS, LAYERS, VOCABULARY, WIDTH, Task
from jaxtrain.models import Model, cnn, from_linen, mlp


def flax_model(task: Task) -> Model:
    if task.model == "mlp":
        return mlp(task.outputs, hidden=task.hidden)
    if task.model == "cnn":
        return cnn(task.outputs, channels=task.channels, hidden=task.hidden)
    return from_linen(Decoder())


class Decoder(nn.Module):
    """A decoder of pre-norm blocks: tokens [B, L] to logits [B, L, V].

    Tokens are flattened to [B * L, W] before every dense layer: the gradient of a weight then is
    one matrix product.
    """

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Logits."""
        batch, length = inputs.shape
        places = self.param("places", nn.initializers.normal(0.02), (length, WIDTH))
        hidden = nn.Embed(VOCABULARY, WIDTH)(inputs) + places
        hidden = hidden.reshape(batch * length, WIDTH)
        for _ in range(LAYERS):
            qkv = nn.Dense(3 * WIDTH)(nn.LayerNorm()(hidden))
            mixed = _attend(qkv.reshape(batch, length, 3, HEADS, WIDTH // HEADS))
            hidden += nn.Dense(WIDTH)(mixed.reshape(batch * length, WIDTH))
            wide = nn.gelu(nn.Dense(4 * WIDTH)(nn.LayerNorm()(hidden)))
            hidden += nn.Dense(WIDTH)(wide)
        logits = nn.Dense(VOCABULARY)(nn.LayerNorm()(hidden))
        return logits.reshape(batch, length, VOCABULARY)


def _attend(qkv: jax.Array) -> jax.Array:
    """Causal attention: [B, L, 3, H, W/H] to [B, L, H, W/H]."""
    return jax.nn.dot_product_attention(
        jnp.squeeze(qkv[:, :, 0:1], 2), qkv[:, :, 1], qkv[:, :, 2], is_causal=True
    )
