"""Root mean square normalisation, as Llama and as Gemma compute it.

    rms_norm(hidden, scale, kind="llama", eps=1e-5)

Axes: D width.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxtrain.models.decoder.config import NormKind


def rms_norm(inputs: jax.Array, scale: jax.Array, *, kind: NormKind, eps: float) -> jax.Array:
    """`inputs` over their root mean square (Zhang and Sennrich 2019, arXiv:1910.07467), scaled.

    The square mean and the quotient are float32 in both kinds. In float32 they differ by what the
    scale is around; in bfloat16 also by one rounding, with which released models were trained.

    Args:
        inputs: `[..., D]`.
        scale: `[D]`; around 1 for "llama", around 0 for "gemma".
        kind: "llama" casts, then multiplies; "gemma" multiplies by `1 + scale`, then casts.
        eps: what is added to the mean square.

    Returns:
        `[..., D]` in the dtype of the inputs.
    """
    wide = inputs.astype(jnp.float32)
    mean_square = jnp.mean(wide * wide, axis=-1, keepdims=True)
    normal = wide * jax.lax.rsqrt(mean_square + jnp.float32(eps))
    if kind == "gemma":
        factor = 1.0 + scale.astype(jnp.float32)
        return (normal * _spread(factor, inputs)).astype(inputs.dtype)
    return normal.astype(inputs.dtype) * _spread(scale.astype(inputs.dtype), inputs)


def _spread(scale: jax.Array, inputs: jax.Array) -> jax.Array:
    return jnp.reshape(scale, (1,) * (inputs.ndim - 1) + scale.shape)
