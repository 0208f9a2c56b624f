"""A stand-in: the plain form of what is tiled over tokens elsewhere."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def token_losses(
    hidden: jax.Array, head: jax.Array, labels: jax.Array, *, transposed: bool = False
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Negative log-likelihood, log Z and whether the likeliest token is the label, each `[T]`."""
    scores = (hidden @ (head.T if transposed else head)).astype(jnp.float32)
    log_z = jax.nn.logsumexp(scores, axis=-1)
    label = jnp.take_along_axis(scores, labels[:, None], axis=-1)[:, 0]
    correct = (jnp.argmax(scores, axis=-1).astype(labels.dtype) == labels).astype(jnp.float32)
    return log_z - label, log_z, correct
