"""An array that lies over several devices, as what this process has to write of it.

    spread = spread_of(array)               # copies of the shards that are this process's to write
    spread.pieces                           # {(0, 0): float32[4, 16]}, by where each begins
    for box in boxes_in_order(spread.shape, 4):
        spread.read(box)                    # where this process has all of them

Of what several devices hold alike, one writes it: the one that JAX counts as its first replica. So
each number is written once, by a process that has it, and no process ever has all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np

Box: TypeAlias = tuple[slice, ...]
"""A part of an array: from where to where on each axis, in steps of one."""

Starts: TypeAlias = tuple[int, ...]
"""Where a box begins on each axis."""

_BLOCK = 1 << 24  # bytes that are read at a time where an array is gone through


@dataclass(frozen=True)
class Spread:
    """What this process has to write of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    part: tuple[int, ...]  # the shape of each piece, in every process
    pieces: Mapping[Starts, np.ndarray]

    @property
    def size(self) -> int:
        """How many elements the whole array has."""
        return math.prod(self.shape)

    def read(self, box: Box) -> np.ndarray:
        """A part of it, of which this process must have all."""
        found = np.empty(box_shape(box), self.dtype)
        for starts, piece in self.pieces.items():
            common = [
                slice(max(want.start, start), min(want.stop, start + length))
                for want, start, length in zip(box, starts, piece.shape, strict=True)
            ]
            if all(axis.start < axis.stop for axis in common):
                target = moved(common, [-want.start for want in box])
                found[target] = piece[moved(common, [-start for start in starts])]
        return found

    def viewed(self, dtype: Any) -> Spread:
        """The same bytes as another dtype of the same size."""
        dtype = np.dtype(dtype)
        pieces = {starts: piece.view(dtype) for starts, piece in self.pieces.items()}
        return Spread(self.shape, dtype, self.part, pieces)


def spread_of(array: jax.Array, reuse: Spread | None = None) -> Spread:
    """Copies of the shards that are this process's to write. Waits for the device.

    Args:
        array: over several devices, perhaps of other processes.
        reuse: what this gave before, to be written over.
    """
    old = reuse.pieces if reuse else {}
    pieces = {}
    for shard in own_shards(array):
        starts = tuple(axis.start for axis in filled(shard.index, array.shape))
        pieces[starts] = copied(shard.data, old.get(starts))
    return Spread(
        array.shape, np.dtype(array.dtype), array.sharding.shard_shape(array.shape), pieces
    )


def own_shards(array: jax.Array) -> list[Any]:
    """The shards that are this process's to write."""
    return [shard for shard in array.addressable_shards if shard.replica_id == 0]


def nothing_of(shape: tuple[int, ...], dtype: Any) -> Spread:
    """What a process has to write of an array that another one writes."""
    return Spread(tuple(shape), np.dtype(dtype), tuple(shape), {})


def copied(leaf: Any, old: Any = None) -> np.ndarray:
    """An array in memory that no later step can change; `old` is written over where it fits."""
    if isinstance(leaf, jax.Array) and all(d.platform != "cpu" for d in leaf.devices()):
        return np.asarray(leaf)  # what came from another device is a copy already
    # A copy also where the device is the host: the next step may be given the same buffer.
    value = np.asarray(leaf)
    if not isinstance(old, np.ndarray) or (old.shape, old.dtype) != (value.shape, value.dtype):
        return np.array(value, copy=True)
    np.copyto(old, value)
    return old


def boxes_in_order(shape: tuple[int, ...], itemsize: int) -> Iterator[Box]:
    """Boxes of some megabytes that make up an array, one behind the other as its bytes are in C.

    >>> len(list(boxes_in_order((4, 1 << 22), 4)))
    4
    """
    size = math.prod(shape) * itemsize
    if not shape or size <= _BLOCK:
        yield tuple(slice(0, length) for length in shape)
        return
    row = size // shape[0]
    if row > _BLOCK:
        for start in range(shape[0]):
            for rest in boxes_in_order(shape[1:], itemsize):
                yield (slice(start, start + 1), *rest)
        return
    rows = _BLOCK // row
    for start in range(0, shape[0], rows):
        stop = min(start + rows, shape[0])
        yield (slice(start, stop), *(slice(0, length) for length in shape[1:]))


def filled(index: Any, shape: tuple[int, ...]) -> Box:
    """The index of a shard, as JAX gives it, with all that it leaves open.

    >>> filled((slice(None), slice(2, 4)), (3, 4))
    (slice(0, 3, None), slice(2, 4, None))
    """
    return tuple(
        slice(axis.start or 0, length if axis.stop is None else axis.stop)
        for axis, length in zip(index, shape, strict=True)
    )


def box_shape(box: Box) -> tuple[int, ...]:
    """The shape of what is in a box."""
    return tuple(axis.stop - axis.start for axis in box)


def moved(box: Any, by: Any) -> Box:
    """A box, elsewhere."""
    return tuple(
        slice(axis.start + way, axis.stop + way) for axis, way in zip(box, by, strict=True)
    )
