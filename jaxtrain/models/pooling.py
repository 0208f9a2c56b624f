"""Max pooling whose gradient is fast on CPU.

    maps = max_pool_2x2(maps)         # [B, H, W, C] to [B, H // 2, W // 2, C]

Axes: B batch, H height, W width, C channels; R rows and S columns of windows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def max_pool_2x2(inputs: jax.Array) -> jax.Array:
    """The maximum of each 2x2 window of `[B, H, W, C]`; an odd last row or column is left out.

    Windows that do not overlap need no `reduce_window`, whose gradient is very slow on CPU. The
    gradient is the same: it goes to the first of equal values.
    """
    batch, height, width, channels = inputs.shape
    rows, columns = height // 2, width // 2
    even = inputs[:, : 2 * rows, : 2 * columns, :]
    return _largest(even.reshape(batch, rows, 2, columns, 2, channels))


@jax.custom_jvp
def _largest(windows: jax.Array) -> jax.Array:
    """[B, R, 2, S, 2, C] to [B, R, S, C]."""
    return jnp.max(windows, axis=(2, 4))


@_largest.defjvp
def _largest_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    # The derivative that jnp.max brings along splits among equal values: it has to count them, in
    # two more passes over maps that are four times as large as the result.
    (windows,), (tangent,) = primals, tangents
    largest = _largest(windows)
    chosen = jnp.where(_is_chosen(windows, largest), tangent, 0)
    return largest, chosen.sum(axis=(2, 4), dtype=largest.dtype)


def _is_chosen(windows: jax.Array, largest: jax.Array) -> jax.Array:
    """Which of each window's values the largest was taken from: bool [B, R, 2, S, 2, C]."""
    place = jnp.full(largest.shape, 3, jnp.int8)
    for index in (2, 1, 0):
        here = windows[:, :, index // 2, :, index % 2] == largest
        place = jnp.where(here, jnp.int8(index), place)
    places = jnp.arange(4, dtype=jnp.int8).reshape(2, 1, 2, 1)
    return place[:, :, None, :, None, :] == places
