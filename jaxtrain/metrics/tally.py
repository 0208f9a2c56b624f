"""How often each index comes, on the device.

tally(labels, where=real, size=10)                       # int32 [10]
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxtrain.sharding import whole_on_each


def tally(index: jax.Array, *, where: jax.Array, size: int) -> jax.Array:
    """How often each of 0 to `size - 1` stands in `index` where `where` is True, int32 `[size]`.

    Args:
        index: int32 of any shape; from 0 to `size - 1` wherever `where` is True.
        where: bools of that shape.
        size: how many there are; below 2**31.

    >>> tally(jnp.array([2, 0, 2, 7]), where=jnp.array([True, True, True, False]), size=3).tolist()
    [1, 0, 2]
    """
    # What does not count goes to a place that is not there. A scatter, since comparing every index
    # with every place would cost their product: of a vocabulary more than the model's own output.
    index = whole_on_each(jnp.where(where, index, jnp.int32(size))).reshape(-1)
    return jnp.zeros(size, jnp.int32).at[index].add(jnp.int32(1), mode="drop")
