"""Rotary positions (Su et al. 2021, arXiv:2104.09864), half-split as in Hugging Face files.

    cos, sin = rotation(positions, config)       # once for all layers
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)

Feature i turns together with feature i + E/2. (llama2.c turns neighbours; its weights are permuted
where they are read.) Angles are float32 whatever the model computes in: at position 4,000 the
numbers of bfloat16 lie 16 apart.

Axes: B batch, L length, H heads, E head size.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.models.decoder.config import DecoderConfig, Llama3Scaling


def rotation(positions: jax.Array, config: DecoderConfig) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of the angles at `positions` `[B, L]`: two of `[B, L, 1, E/2]`, float32."""
    frequencies = jnp.asarray(inverse_frequencies(config))
    angles = positions.astype(jnp.float32)[:, :, None, None] * frequencies[None, None, None, :]
    return jnp.cos(angles), jnp.sin(angles)


def rotate(heads: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """`heads` `[B, L, H, E]` turned by the angles, in their own dtype."""
    first, second = jnp.split(heads, 2, axis=-1)
    cos, sin = cos.astype(heads.dtype), sin.astype(heads.dtype)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def inverse_frequencies(config: DecoderConfig) -> np.ndarray:
    """The angle by which each pair turns from a position to the next: `[E/2]` float32."""
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    frequencies = np.float32(1) / np.power(np.float32(config.rope_theta), exponents)
    if config.rope_scaling is not None:
        frequencies = _stretched(frequencies, config.rope_scaling)
    return frequencies.astype(np.float32)


def _stretched(frequencies: np.ndarray, scaling: Llama3Scaling) -> np.ndarray:
    """Long wavelengths stretched by the factor, short ones not, those between by a share of it.

    As in `_compute_llama3_parameters` of transformers and `apply_scaling` of Meta's own code.
    """
    length = scaling.original_max_position_embeddings
    wavelengths = 2 * math.pi / frequencies
    share = (length / wavelengths - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    share = np.clip(share, 0, 1)
    return (1 - share) * frequencies / scaling.factor + share * frequencies
