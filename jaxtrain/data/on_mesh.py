"""Batches laid out over a mesh: each device has its rows, each process reads only its own.

    mesh = jaxtrain.parallel.make_mesh(data=-1)
    loader = on_mesh(ArrayLoader(splits.train, batch_size=64), mesh)
    for batch in loader:                       # jax arrays [64, ...], split over the mesh by rows
        state, output = step(state, batch)

What comes out is a `Loader` like the one that went in: batches, order, cursors and fingerprint are
those of the whole, whatever the mesh and however many processes. So a run goes on with another
number of either.

Axes: B rows of a batch, S batches of a stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxtrain.batch import Batch
from jaxtrain.data.loader import Cursor, Loader, closing, one_epoch
from jaxtrain.errors import DataError
from jaxtrain.parallel.mesh import (
    ROWS,
    batch_sharding,
    refuse_other_mesh,
    refuse_unsplit,
    row_parts,
)


@runtime_checkable
class Divisible(Protocol):
    """A loader that can make some rows of each batch alone, as `ArrayLoader` and `GrainLoader`."""

    def only(self, places: Sequence[int]) -> Loader:
        """A loader of the rows at these places of each batch."""
        ...


def on_mesh(loader: Loader, mesh: Mesh) -> OnMesh:
    """`loader`, whose batches lie over `mesh`: rows over its axes `data` and `fsdp`.

    Where several processes have parts of the mesh, each reads only its own rows, if the loader can
    do so (`Divisible`); else it reads all of them, and hands on its own.

    Raises:
        ConfigError: the batch size does not divide into the mesh's parts, or the mesh has other
            axes than those of `make_mesh`.
    """
    return OnMesh(loader, mesh)


class OnMesh:
    """See `on_mesh`.

    Attributes:
        whole: the loader underneath, of all rows.
        local: a loader of the rows that this process has a device for.
        mesh: the mesh.
    """

    def __init__(self, loader: Loader, mesh: Mesh) -> None:
        refuse_other_mesh(mesh)
        refuse_unsplit(loader.batch_size, mesh)
        self.whole = loader
        self.mesh = mesh
        self._places = _places(mesh, loader.batch_size)
        self._divided = len(self._places) < loader.batch_size and isinstance(loader, Divisible)
        self.local: Loader = loader
        if self._divided:
            self.local = loader.only(self._places)  # type: ignore[attr-defined]
        self._shapes = {n: tuple(x.shape) for n, x in loader.example().items()}

    @property
    def batch_size(self) -> int:
        """B, the rows of every batch of all processes together."""
        return self.whole.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """S, the batches of an epoch."""
        return self.whole.steps_per_epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def fingerprint(self) -> str:
        """That of the loader underneath: where its batches lie changes none of them."""
        return self.whole.fingerprint()

    def example(self) -> dict[str, Any]:
        """Shapes, dtypes and places of every batch; reads nothing."""
        return {
            name: jax.ShapeDtypeStruct(
                leaf.shape,
                jax.dtypes.canonicalize_dtype(leaf.dtype),
                sharding=self.sharding(leaf.shape),
            )
            for name, leaf in self.whole.example().items()
        }

    def start(self, epoch: int = 0) -> Cursor:
        """The beginning of an epoch, counted from 0."""
        return self.whole.start(epoch)

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Batch, Cursor]]:
        """The batches from `cursor` on, epoch after epoch, each with the place behind it.

        Raises:
            CheckpointMismatchError: the cursor is of other data or other options.
        """
        return self._from(self.local.batches(cursor))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0."""
        return one_epoch(self, epoch)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the first epoch."""
        return one_epoch(self)

    def sharding(self, shape: tuple[int, ...], *, axes: int = 0) -> NamedSharding:
        """Where an array of a batch lies.

        Args:
            shape: of the array in the whole batch.
            axes: how many axes stand before the batch's, as in a stack [S, B, ...].
        """
        if not self._is_divided(shape):
            return NamedSharding(self.mesh, PartitionSpec())
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axes, ROWS))

    def place(self, local: Any, *, axes: int = 0) -> dict[str, Any]:
        """A batch that the loader `local` has given, or a stack of them, laid out over the mesh.

        Args:
            local: arrays by name.
            axes: how many axes stand before the batch's.
        """
        return {name: self._placed(name, np.asarray(leaf), axes) for name, leaf in local.items()}

    def _from(self, batches: Iterator[tuple[Batch, Cursor]]) -> Iterator[tuple[Batch, Cursor]]:
        with closing(batches):
            for batch, cursor in batches:
                yield self.place(batch), cursor

    def _refuse_other_size(self, name: str, rows: int, *, alone: bool) -> None:
        expected = len(self._places) if self._divided else self.batch_size
        if rows != expected and (not alone or rows % row_parts(self.mesh)):
            raise DataError(
                f"{name}: the loader gave a batch of {rows} rows, expected {expected}, as each "
                "that lies over a mesh has; have it pad the last batch of an epoch, or drop it"
            )

    def _is_divided(self, shape: tuple[int, ...]) -> bool:
        return bool(shape) and shape[0] == self.batch_size

    def _placed(self, name: str, leaf: np.ndarray, axes: int) -> jax.Array:
        whole = self._shapes[name]
        where = self.sharding(whole, axes=axes)
        if self._is_divided(whole):
            self._refuse_other_size(name, leaf.shape[axes], alone=where.is_fully_addressable)
        leaf = leaf.astype(jax.dtypes.canonicalize_dtype(leaf.dtype), copy=False)
        if where.is_fully_addressable:
            return jax.device_put(leaf, where)
        if not self._is_divided(whole):
            return jax.make_array_from_callback(leaf.shape, where, lambda index: leaf[index])
        first = self._places[0] if self._divided else 0
        shape = (*leaf.shape[:axes], *whole)

        def part(index: Any) -> np.ndarray:
            rows = index[axes]
            begin = (rows.start or 0) - first
            end = (self.batch_size if rows.stop is None else rows.stop) - first
            own = (slice(None),) * axes + (slice(begin, end),)
            found: np.ndarray = leaf[own]
            return found

        return jax.make_array_from_callback(shape, where, part)


def _places(mesh: Mesh, batch_size: int) -> list[int]:
    """The rows of a batch from the first to the last that this process has a device for."""
    found: Any = batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    spans = [(rows.start or 0, batch_size if rows.stop is None else rows.stop) for (rows,) in found]
    return list(range(min(begin for begin, _ in spans), max(end for _, end in spans)))
