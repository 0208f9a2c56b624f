"""Stacked: batches of any loader, put together in a thread while the device works.

It is for loaders whose data is not in arrays on the device. A portion is up to `SIZE` batches of
equal shapes, stacked on a new first axis; the arrays of every portion have the same shape, however
many batches are in it, so that the dispatch compiles once.

Axes: S batches in a portion.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxtrain.data import Ahead
from jaxtrain.engine.batches.source import Window, loader_cursor

SIZE = 64
_BYTES = 64 * 2**20
_PATIENCE = 0.1  # seconds


@dataclass(frozen=True)
class _Portion:
    data: Any  # [S, ...] each, on the device; None marks the end of the loader's epoch
    cursors: list[Any]  # behind each of its batches, or behind that end


class Stacked:
    """Windows into stacked portions.

    A loader with a cursor is read one portion ahead, and the cursor counts what was handed out. A
    plain iterable is never read beyond what the epoch wants: its batches would be lost at the end.
    """

    def __init__(self, loader: Iterable[Any], begun: Iterator[Any] | None = None) -> None:
        self._loader = loader
        self._reads_ahead = hasattr(loader, "cursor") and hasattr(loader, "restore")
        self._cursor = loader_cursor(loader)
        self._portions: Ahead[_Portion] | None = None
        self._batches = begun
        self._held: Any = None  # a batch of other shapes, which begins the next portion
        self._portion: _Portion | None = None
        self._used = 0

    def take(self, limit: int, wanted: int | None) -> Window | None:
        """Up to `limit` batches of the present portion."""
        if self._portion is None or self._used == len(self._portion.cursors):
            self._portion, self._used = self._next(wanted), 0
        portion, start = self._portion, self._used
        if portion.data is None:
            self._portion, self._cursor = None, portion.cursors[0]
            return None
        length = min(limit, len(portion.cursors) - start)
        self._used += length
        self._cursor = portion.cursors[self._used - 1]
        return Window(portion.data, start, length, pick, lambda index: _host(portion.data, index))

    def get_ready(self) -> None:
        """Nothing: the thread does."""

    def cursor(self) -> Any:
        """The loader's cursor behind the last batch handed out."""
        return self._cursor

    def close(self, patience: float | None = None) -> None:
        """Stop the thread and put the loader where its consumer stands."""
        if self._portions is not None:
            self._portions.close(patience)
            self._portions = None
            self._loader.restore(self._cursor)  # type: ignore[attr-defined]
            self._portion, self._held, self._batches = None, None, None

    def put_back(self) -> None:
        """As `close`, but the thread, too, may wait for a batch that never comes."""
        self.close(patience=1.0)

    def rewind(self) -> None:
        """Begin with a new iterator, unless the loader is an iterator itself."""
        if not self._reads_ahead and not isinstance(self._loader, Iterator):
            self._portion, self._held, self._batches = None, None, None

    def _next(self, wanted: int | None) -> _Portion:
        if not self._reads_ahead:
            return self._stack(SIZE if wanted is None else wanted)
        if self._portions is None:
            self._portions = Ahead(self._all(), 1)
        return next(self._portions)

    def _all(self) -> Iterator[_Portion]:
        while True:
            yield self._stack(SIZE)

    def _stack(self, most: int) -> _Portion:
        """Stack up to `most` batches of equal shapes; data None where the epoch is over."""
        batches: list[Any] = [] if self._held is None else [self._held[0]]
        cursors: list[Any] = [] if self._held is None else [self._held[1]]
        self._held = None
        if self._batches is None:
            self._batches = iter(self._loader)
        size = SIZE
        began = time.monotonic()
        while len(batches) < min(size, most) and not (batches and self._is_late(began)):
            batch = next(self._batches, None)
            if batch is None:
                if not batches:
                    self._batches = None
                break
            cursor = loader_cursor(self._loader)
            if batches and _shapes(batch) != _shapes(batches[0]):
                self._held = batch, cursor
                break
            batches.append(batch)
            cursors.append(cursor)
            size = max(1, min(SIZE, _BYTES // max(1, _bytes(batch))))
        if not batches:
            return _Portion(None, [loader_cursor(self._loader)])
        # The unused end repeats the last batch: it is never looked at, but its shape counts.
        filled = batches + [batches[-1]] * (size - len(batches))
        data = jax.tree.map(lambda *leaves: np.stack(leaves), *filled)
        return _Portion(jax.device_put(data), cursors)

    def _is_late(self, began: float) -> bool:
        """Whether the consumer has waited long enough: better part of a portion than none."""
        awaited = self._portions is not None and self._portions.awaited
        return awaited and time.monotonic() - began > _PATIENCE


def pick(data: Any, index: jax.Array) -> Any:
    """Batch `index` of a portion."""
    return jax.tree.map(
        lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), data
    )


def _host(data: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], jax.device_get(data))


def _shapes(batch: Any) -> Any:
    leaves, treedef = jax.tree.flatten(batch)
    return treedef, [(np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves]


def _bytes(batch: Any) -> int:
    return sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(batch))
