"""Parts of arrays, on the disk: what orbax writes whole, written and read in pieces.

    handler = spread_handler()              # for orbax's registry: writes a `Spread`
    stored = StoredArray(directory, "params.kernel", described)
    stored.read([(slice(0, 4), slice(0, 16))])

An array that lies over several devices is written in chunks, each within one piece of one process;
so a part of it can be read, on another mesh, without the rest. It is the array that orbax would
have written (Zarr 3 within OCDBT), so orbax reads it, too.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxtrain.checkpoint.spread import Box, Spread, Starts, box_shape, moved
from jaxtrain.errors import CheckpointError

_CHUNK = 1 << 24
"""Bytes of a chunk, about: what is read besides of a part that ends within one."""

_MORE_CHUNKS = 4  # times as many are made as are needed, where an axis does not divide well

_IN_FLIGHT = 1 << 26  # bytes on their way to the disk; what is on its way is there twice

_FILE = 1 << 26  # bytes of a file of values; it is put together in memory


@dataclass(frozen=True)
class StoredArray:
    """An array on the disk, of which parts can be read.

    Args:
        directory: that orbax has written.
        key: what it is called there.
        described: its shape and dtype.
    """

    directory: Path
    key: str
    described: jax.ShapeDtypeStruct
    shape: tuple[int, ...] = field(init=False)
    dtype: np.dtype[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.described.shape))
        object.__setattr__(self, "dtype", np.dtype(self.described.dtype))

    def read(self, boxes: Sequence[Box]) -> list[np.ndarray]:
        """Parts of it; at most the box around all of them is in memory besides.

        Raises:
            CheckpointError: it can't be read.
        """
        if 0 in self.shape:
            return [np.empty(box_shape(box), self.dtype) for box in boxes]
        try:
            return self._read(boxes)
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{self.directory}: {self.key} can't be read: {error}") from error

    def _read(self, boxes: Sequence[Box]) -> list[np.ndarray]:
        import tensorstore as ts

        base = {"driver": "file", "path": f"{self.directory.absolute()}/"}
        kvstore = {"driver": "ocdbt", "base": base, "path": f"{self.key}/"}
        # What is missing would be zeros by default.
        spec = {"driver": "zarr3", "kvstore": kvstore, "fill_missing_data_reads": False}
        store = ts.open(spec, open=True).result()
        if store.shape != self.shape:  # the bytes of a dtype that has no name there, in a row
            whole = np.asarray(store.read().result()).view(self.dtype).reshape(self.shape)
            return [whole[box] for box in boxes]
        chunk = [length or 1 for length in store.chunk_layout.read_chunk.shape or ()]
        hull = _around(boxes)
        if sum(_touched(box, chunk) for box in boxes) <= _touched(hull, chunk):
            parts = [store[box].read() for box in boxes]
            return [np.asarray(part.result()).view(self.dtype) for part in parts]
        # Each chunk is read whole; so of what shares them it is read once, not once for each.
        around = np.asarray(store[hull].read().result()).view(self.dtype)
        return [around[moved(box, [-axis.start for axis in hull])] for box in boxes]


def spread_handler() -> Any:
    """What writes a `Spread` for orbax: the pieces of this process, in its own database.

    Orbax then makes one of those of all processes.
    """
    import orbax.checkpoint as ocp

    class SpreadHandler(ocp.type_handlers.NumpyHandler):
        async def serialize(self, values: Any, infos: Any, args: Any = None) -> Any:
            await _write([(v, i) for v, i in zip(values, infos, strict=True) if v.pieces])
            return [ocp.future.NoopFuture()]

    return SpreadHandler(deepcopy_host_arrays=False)


def own_folder(directory: Path) -> Path:
    """Where this process writes its pieces to: a database that nobody else writes to."""
    return directory / f"ocdbt.process_pieces{jax.process_index()}"


async def _write(spreads: Sequence[tuple[Spread, Any]]) -> None:
    """Write pieces, each with what orbax says of its array; few enough at a time."""
    stores = await asyncio.gather(*(_created(spread, info) for spread, info in spreads))
    under_way: list[Any] = []
    waiting = 0
    for store, (spread, _) in zip(stores, spreads, strict=True):
        for starts, piece in spread.pieces.items():
            for box in _chunks(piece, spread):
                target = store[moved(box, starts)]
                chunk = piece[box]
                under_way.append(target.write(chunk, can_reference_source_data_indefinitely=True))
                waiting += chunk.nbytes
                if waiting >= _IN_FLIGHT:
                    await asyncio.gather(*under_way)
                    under_way, waiting = [], 0
    await asyncio.gather(*under_way)


def _created(spread: Spread, info: Any) -> Any:
    """An array in the database of this process, without values so far."""
    import tensorstore as ts

    base = {"driver": "file", "path": f"{own_folder(Path(info.parent_dir))}/"}
    chunk = chunk_shape(spread.part, spread.dtype.itemsize)
    spec = {
        "driver": "zarr3",
        "kvstore": {
            "driver": "ocdbt",
            "base": base,
            "path": f"{info.name}/",
            # As orbax has them: values apart from the tree of names, and one manifest.
            "config": {
                "max_inline_value_bytes": 1024,
                "max_decoded_node_bytes": 100_000_000,
                "manifest_kind": "single",
            },
            "assume_config": True,
            "target_data_file_size": _FILE,
        },
        "metadata": {
            "shape": list(spread.shape),
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        },
        "dtype": spread.dtype.name,
        "store_data_equal_to_fill_value": True,
        "recheck_cached_data": False,
        "recheck_cached_metadata": False,
    }
    return ts.open(spec, create=True, open=True, context=info.ts_context)


def chunk_shape(part: Starts, itemsize: int) -> tuple[int, ...]:
    """How a piece is divided into chunks: along its first axes, into equal ones.

    >>> chunk_shape((4096, 4096), 4)
    (1024, 4096)
    """
    chunk = list(part)
    for axis, length in enumerate(part):
        needed = math.ceil(math.prod(chunk) * itemsize / _CHUNK)
        if needed <= 1:
            break
        most = min(length, _MORE_CHUNKS * needed)
        fitting = (count for count in range(min(needed, length), most + 1) if length % count == 0)
        chunk[axis] = length // next(fitting, 1)
    return tuple(chunk)


def _chunks(piece: np.ndarray, spread: Spread) -> Iterator[Box]:
    """The chunks of a piece, as boxes in it."""
    chunk = chunk_shape(spread.part, spread.dtype.itemsize)
    counts = [length // each for length, each in zip(piece.shape, chunk, strict=True)]
    for place in np.ndindex(*counts):
        yield tuple(
            slice(number * each, (number + 1) * each)
            for number, each in zip(place, chunk, strict=True)
        )


def _around(boxes: Sequence[Box]) -> Box:
    return tuple(
        slice(min(axis.start for axis in axes), max(axis.stop for axis in axes))
        for axes in zip(*boxes, strict=True)
    )


def _touched(box: Box, chunk: Sequence[int]) -> int:
    """How many elements are in the chunks that have a part of a box."""
    return math.prod(
        (math.ceil(axis.stop / each) - axis.start // each) * each
        for axis, each in zip(box, chunk, strict=True)
    )
