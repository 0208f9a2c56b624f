"""Positions as waves, which need not be learned.

    hidden = hidden + sinusoids(length, width)[None]

Axes: L steps, D width.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def sinusoids(length: int, width: int) -> jax.Array:
    """`[L, D]` float32: `sin(p / 10000^(2i / D))` at 2i, and the cosine of the same behind it.

    Vaswani et al. 2017 (arXiv:1706.03762), section 3.5.

    >>> sinusoids(1, 4).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    even = np.arange(0, width, 2)
    angles = np.arange(length)[:, None] / 10_000 ** (even / width)[None]
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, -1)
    return jnp.asarray(waves[:, :width], jnp.float32)
