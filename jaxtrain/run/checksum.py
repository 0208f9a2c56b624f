"""A checksum of parameters, the same wherever they lie.

    checksum(params)           # of all bytes, leaf by leaf

What lies over several devices, perhaps of other processes, is never put together: it goes through
the host some megabytes at a time. Every process that has a part of it has to call this.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

_BLOCK = 1 << 24  # bytes on the host at a time


def checksum(params: Any) -> int:
    """Of all bytes, leaf by leaf."""
    found = 0
    for leaf in jax.tree.leaves(params):
        for rows in _in_order(leaf):
            found = zlib.crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data, found)
    return found


def _in_order(leaf: Any) -> Iterator[np.ndarray]:
    """The values of an array as its bytes are in C."""
    spread = isinstance(leaf, jax.Array) and not leaf.is_fully_replicated
    if not spread or not isinstance(leaf.sharding, NamedSharding):
        yield np.asarray(leaf)
        return
    whole = NamedSharding(leaf.sharding.mesh, PartitionSpec())
    count = max(1, min(leaf.shape[0], _BLOCK * leaf.shape[0] // leaf.nbytes))
    take = partial(jax.lax.dynamic_slice_in_dim, slice_size=count)
    rows = jax.jit(take, out_shardings=whole)
    # The last rows may be fewer; a slice that would go beyond the end begins before its place.
    for start in range(0, leaf.shape[0], count):
        found = np.asarray(rows(leaf, start))
        yield found[max(0, start + count - leaf.shape[0]) :]
