"""What an average that began at 0 lacks after so many updates.

    mu_hat = mu / filled(0.9, count)             # 1 - 0.9**count

Adam, equation 4 (Kingma and Ba 2015, arXiv:1412.6980). As `1 - decay**count` in float32 it has an
error of 1e-5 to 3e-5 in the first updates where the decay is 0.999: most digits cancel.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def filled(decay: float, count: jax.Array) -> jax.Array:
    """`1 - decay**count` to the last digit of float32.

    Args:
        decay: of the average, from 0 to below 1.
        count: updates done, 1 after the first.

    >>> round(float(filled(0.999, jnp.int32(1))), 9)
    0.001
    """
    if decay == 0:
        return jnp.float32(1)
    return -jnp.expm1(count.astype(jnp.float32) * math.log(decay))
