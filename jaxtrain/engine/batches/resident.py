"""Resident: the arrays of a loader on the device, where a dispatch gathers its batches itself.

Axes: B rows, S batches of an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from jaxtrain.batch import ROW_MASK
from jaxtrain.data import Cursor, IndexedLoader, IndexedMembers, OnMesh
from jaxtrain.engine.batches.portion import Portion
from jaxtrain.parallel import replicated

# A data set larger than this share of the device's memory is not kept there.
_SHARE_OF_MEMORY = 0.25


class Resident:
    """Portions of an `IndexedLoader`'s epochs: indices into arrays that are on the device.

    Args:
        loader: the loader.
        mesh: where it lies over several devices: each has the arrays whole, and its own indices.
    """

    def __init__(self, loader: IndexedLoader, mesh: OnMesh | None = None) -> None:
        self._loader = loader
        self._rows: NamedSharding | None = None
        if mesh is None:
            self._arrays = jax.device_put(loader.arrays)
        else:
            self._rows = mesh.sharding((loader.batch_size,), axes=1)
            self._arrays = jax.device_put(loader.arrays, replicated(mesh.mesh))
        self._grids: dict[int, _Grid] = {}  # by epoch: the present one, and perhaps the next
        self._mask: tuple[np.ndarray, jax.Array] | None = None
        # Where the members' axis is: they share the arrays, and each has its own indices.
        self._members: dict[str, int | None] | None = None
        if isinstance(loader, IndexedMembers):
            self._members = {"arrays": None, "indices": 0}
            if loader.masked:
                self._members["mask"] = 0
        self._epoch, self._batch = 0, 0

    def begin(self, cursor: Cursor | None, *, anew: bool) -> None:
        """Go to the cursor; the arrays are where they are."""
        place = self._loader.start() if cursor is None else cursor
        self._epoch, self._batch = self._loader.position(place)

    def take(self, limit: int, wanted: int | None) -> Portion:
        """Up to `limit` batches of the loader's epoch."""
        loader, epoch, batch = self._loader, self._epoch, self._batch
        grid = self._grids.get(epoch)
        if grid is None:
            grid = self._make_grid(epoch)
            self._grids = {epoch: grid}
        length = min(limit, loader.steps_per_epoch - batch)
        look = partial(self._look, grid)
        return Portion(grid.data, batch, length, gather, look, members=self._members)

    def used(self, count: int) -> Cursor:
        """So many batches of the epoch are used."""
        epoch, batch = self._epoch, self._batch + count
        if batch == self._loader.steps_per_epoch:
            epoch, batch = epoch + 1, 0
        self._epoch, self._batch = epoch, batch
        return self._loader.cursor_at(epoch, batch)

    def get_ready(self) -> None:
        """At the end of an epoch: shuffle for the next, which the device would wait for."""
        if self._batch == 0 and self._epoch not in self._grids:
            self._grids = {self._epoch: self._make_grid(self._epoch)}

    def close(self) -> None:
        """Nothing: the arrays stay on the device for the next run."""

    def _make_grid(self, epoch: int) -> _Grid:
        indices, mask = self._loader.indices(epoch)
        data = {"arrays": self._arrays, "indices": jax.device_put(indices, self._rows)}
        if self._loader.masked:
            # It is most often that of the epoch before.
            if self._mask is None or not np.array_equal(self._mask[0], mask):
                self._mask = mask, jax.device_put(mask, self._rows)
            data["mask"] = self._mask[1]
        return _Grid(data, indices, mask)

    def _look(self, grid: _Grid, index: int) -> dict[str, np.ndarray]:
        at = np.s_[index] if self._members is None else np.s_[:, index]
        rows = grid.indices[at]
        batch = {name: array.take(rows, axis=0) for name, array in self._loader.arrays.items()}
        return batch | ({ROW_MASK: grid.mask[at]} if self._loader.masked else {})


@dataclass(frozen=True)
class _Grid:
    """An epoch: what a dispatch is given, and the same indices and mask on the host."""

    data: dict[str, Any]
    indices: np.ndarray
    mask: np.ndarray


def gather(data: Any, index: jax.Array) -> dict[str, jax.Array]:
    """Batch `index` of a `Resident` feed's data: rows of each array, and their mask."""
    rows = data["indices"][index]
    batch = {n: a.at[rows].get(mode="promise_in_bounds") for n, a in data["arrays"].items()}
    return batch | ({ROW_MASK: data["mask"][index]} if "mask" in data else {})


def fits_on_device(loader: Any) -> bool:
    """Whether a loader offers its arrays, and they leave room enough on the device."""
    if not isinstance(loader, IndexedLoader):
        return False
    stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    if not stats or "bytes_limit" not in stats:
        return True  # on the CPU the arrays are in this memory already
    return sum(a.nbytes for a in loader.arrays.values()) < _SHARE_OF_MEMORY * stats["bytes_limit"]
