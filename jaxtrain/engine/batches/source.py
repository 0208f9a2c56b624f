"""Where a run's batches come from, in the portions that dispatches take.

    source = source_for(loader, form="fused")
    window = source.take(100)         # up to 100 batches, on the device or on their way
    window.length

`Resident` keeps the arrays of a loader on the device and gathers inside the dispatch. `Stacked`
(its own file) stacks batches ahead in a thread. `OneByOne` hands out single batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from jaxtrain.data import IndexedLoader

# A data set larger than this share of the device's memory is not kept there.
_SHARE_OF_MEMORY = 0.25


@dataclass(frozen=True)
class Window:
    """Consecutive batches.

    Attributes:
        data: what the dispatch is given.
        start: where in `data` the first batch is.
        length: how many batches.
        get: `(data, index) -> batch`, traced inside the dispatch. None where `data` is one batch.
        look: `index -> batch`, for a handler that wants to see one.
    """

    data: Any
    start: int
    length: int
    get: Callable[[Any, Any], Any] | None
    look: Callable[[int], Any]


class Source(Protocol):
    """Hands out windows of a loader's batches."""

    def take(self, limit: int, wanted: int | None) -> Window | None:
        """Up to `limit` next batches; None at the end of the loader's epoch, once each time.

        Args:
            limit: how many are wanted now.
            wanted: how many the engine's epoch is going to want, or None where nobody knows.
        """

    def get_ready(self) -> None:
        """The device is at work: a good time to prepare what comes next."""

    def cursor(self) -> Any:
        """The loader's cursor behind the last batch handed out, or None where it has none."""

    def close(self) -> None:
        """The run is left: let go of threads. The next one continues with the batch after."""

    def put_back(self) -> None:
        """The waiting for a batch was broken off: put a loader with a cursor where it stood."""

    def rewind(self) -> None:
        """A run begins anew: forget what was begun of an iterable without a cursor."""


class OneByOne:
    """Single batches, as the loader gives them."""

    def __init__(self, loader: Iterable[Any], begun: Iterator[Any] | None = None) -> None:
        self._loader = loader
        self._batches = begun
        self._place = loader_cursor(loader)

    def take(self, limit: int, wanted: int | None) -> Window | None:
        """The next batch, whatever the limit."""
        if self._batches is None:
            self._batches = iter(self._loader)
        self._place = loader_cursor(self._loader)
        try:
            batch = next(self._batches)
        except StopIteration:
            self._batches = None
            return None
        return Window(batch, 0, 1, None, lambda index: batch)

    def get_ready(self) -> None:
        """Nothing: a loader that can do so prefetches."""

    def cursor(self) -> Any:
        """The loader's own."""
        return loader_cursor(self._loader)

    def close(self) -> None:
        """Close an iterator that can be found again, so that a prefetching one stops its thread."""
        close = getattr(self._batches, "close", None)
        if close is not None and hasattr(self._loader, "restore"):
            close()
            self._batches = None

    def put_back(self) -> None:
        """The iterator is broken by what was raised in it; a new one begins at the cursor."""
        self._batches = None
        self._loader.restore(self._place)  # type: ignore[attr-defined]

    def rewind(self) -> None:
        """Begin with a new iterator, unless the loader is an iterator itself."""
        if self._batches is not self._loader:
            close = getattr(self._batches, "close", None)
            if close is not None:
                close()
            self._batches = None


class Resident:
    """The arrays of an `IndexedLoader` on the device; a dispatch gathers its batches itself."""

    def __init__(self, loader: IndexedLoader) -> None:
        self._loader = loader
        self._arrays = jax.device_put(loader.arrays)
        self._grids: dict[int, Any] = {}  # by epoch: the present one, and perhaps the next
        self._mask: tuple[np.ndarray, jax.Array] | None = None

    def take(self, limit: int, wanted: int | None) -> Window | None:
        """Up to `limit` batches of the loader's epoch."""
        loader = self._loader
        epoch, batch = loader.position
        if batch == loader.steps_per_epoch:
            loader.advance(0)
            return None
        if epoch not in self._grids:
            self._grids = {epoch: self._make_grid(epoch)}
        length = min(limit, loader.steps_per_epoch - batch)
        loader.advance(length)
        data = {"arrays": self._arrays, **self._grids[epoch]}
        return Window(data, batch, length, gather, lambda index: self._look(epoch, index))

    def get_ready(self) -> None:
        """At the end of an epoch: shuffle for the next, which the device would wait for."""
        epoch, batch = self._loader.position
        if batch == self._loader.steps_per_epoch and epoch + 1 not in self._grids:
            self._grids = {epoch + 1: self._make_grid(epoch + 1)}

    def _make_grid(self, epoch: int) -> dict[str, jax.Array]:
        """The epoch's indices and mask, on the device; the mask is most often the last one's."""
        indices, mask = self._loader.indices(epoch)
        grid = {"indices": jax.device_put(indices)}
        if self._loader.masked:
            if self._mask is None or not np.array_equal(self._mask[0], mask):
                self._mask = mask, jax.device_put(mask)
            grid["mask"] = self._mask[1]
        return grid

    def cursor(self) -> Any:
        """The loader's own."""
        return loader_cursor(self._loader)

    def close(self) -> None:
        """Nothing: the arrays stay on the device for the next run."""

    def put_back(self) -> None:
        """Nothing: it never waits."""

    def rewind(self) -> None:
        """Nothing: the loader's cursor says where it is."""

    def _look(self, epoch: int, index: int) -> dict[str, np.ndarray]:
        indices, mask = self._loader.indices(epoch)
        batch = {name: a.take(indices[index], axis=0) for name, a in self._loader.arrays.items()}
        return batch | ({"mask": mask[index]} if self._loader.masked else {})


def gather(data: Any, index: jax.Array) -> dict[str, jax.Array]:
    """Batch `index` of a `Resident` source's data: rows of each array, and their mask."""
    rows = data["indices"][index]
    batch = {n: a.at[rows].get(mode="promise_in_bounds") for n, a in data["arrays"].items()}
    return batch | ({"mask": data["mask"][index]} if "mask" in data else {})


def loader_cursor(loader: Any) -> Any:
    """The loader's cursor, or None where it has none."""
    return loader.cursor() if hasattr(loader, "cursor") else None


def fits_on_device(loader: Any) -> bool:
    """Whether a loader offers its arrays, and they leave room enough on the device."""
    if not isinstance(loader, IndexedLoader):
        return False
    stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    if not stats or "bytes_limit" not in stats:
        return True  # on the CPU the arrays are in this memory already
    return sum(a.nbytes for a in loader.arrays.values()) < _SHARE_OF_MEMORY * stats["bytes_limit"]


def peek(loader: Iterable[Any]) -> tuple[Any, Iterator[Any] | None]:
    """A first batch, or its shapes, for whoever must know what is coming.

    Returns:
        The batch, and an iterator to begin with, which still gives it; None where the loader
        itself was put back, or not touched.
    """
    if isinstance(loader, IndexedLoader):
        size = loader.batch_size
        batch: Any = {
            name: jax.ShapeDtypeStruct((size, *array.shape[1:]), array.dtype)
            for name, array in loader.arrays.items()
        }
        mask = jax.ShapeDtypeStruct((size,), np.float32)
        return batch | ({"mask": mask} if loader.masked else {}), None
    if hasattr(loader, "batch_shapes"):
        return loader.batch_shapes(), None
    place = loader_cursor(loader)
    try:
        for _ in range(2):  # the loader may stand at the end of an epoch
            batches = iter(loader)
            for batch in batches:
                if hasattr(loader, "restore"):
                    return batch, None
                return batch, itertools.chain([batch], batches)
    finally:
        if hasattr(loader, "restore"):
            loader.restore(place)
    raise ValueError("the loader gave no batch: it is empty, or was used up before")


def length_of(loader: Iterable[Any]) -> int | None:
    """Batches an epoch: `steps_per_epoch`, or `len()`, or None where the loader has neither."""
    steps = getattr(loader, "steps_per_epoch", None)
    if steps is not None:
        return int(steps)
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:
        return None
