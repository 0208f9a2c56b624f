"""What a loader is: data in an order. A place in it is a value, which its owner holds.

    for batch in loader:                              # the first epoch, from its beginning, always
        state, output = step(state, batch)
    for batch, cursor in loader.batches(cursor):      # from a place on, epoch after epoch
        ...                                           # `cursor` is the place behind that batch

Looking at a loader, or iterating over it, moves nobody: it holds no place. So two engines can share
one, and an evaluator sees the same batches each time.

A batch is a dict of arrays (see `jaxtrain.batch`). With `last_batch="pad"` each has a `row_mask`
`[B]` float32, 1 on rows and 0 on padding; with "drop" none has one. B is the same in every batch,
so that a jitted step compiles once.

Axes: B rows of a batch, S batches of an epoch.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from jaxtrain.batch import Batch

AnyBatch = TypeVar("AnyBatch", bound=Batch)

Cursor: TypeAlias = dict[str, Any]
"""A place between two batches, in values that JSON knows. The place behind an epoch's last batch is
the beginning of the next epoch."""


@runtime_checkable
class Loader(Protocol):
    """Batches in an order, and places in it. See `ArrayLoader` for the one most runs use."""

    @property
    def batch_size(self) -> int:
        """B, the rows of every batch, those of padding included."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """S, the batches of an epoch."""
        ...

    def fingerprint(self) -> str:
        """Says which data in which order: equal fingerprints give equal batches."""
        ...

    def example(self) -> dict[str, Any]:
        """Shapes and dtypes of every batch, as `jax.ShapeDtypeStruct`s; reads nothing."""
        ...

    def start(self, epoch: int = 0) -> Cursor:
        """The beginning of an epoch, counted from 0."""
        ...

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Batch, Cursor]]:
        """The batches from `cursor` on (by default from the start), each with the place behind it.

        It has no end: epoch follows epoch. Closing the iterator, or dropping it, lets go of its
        threads and processes. Several at once are fine, each at a place of its own.

        Raises:
            CheckpointMismatchError: the cursor is of other data or other options; at once, not
                with the first batch.
        """
        ...

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the first epoch."""
        ...


@runtime_checkable
class IndexedLoader(Loader, Protocol):
    """A `Loader` over arrays in memory, which offers them: a dispatch can gather on the device."""

    arrays: dict[str, Any]

    @property
    def masked(self) -> bool:
        """Whether its batches have a `row_mask`."""
        ...

    def indices(self, epoch: int) -> tuple[Any, Any]:
        """The rows of all batches `[S, B]` int32, and their masks `[S, B]` float32."""
        ...

    def position(self, cursor: Cursor) -> tuple[int, int]:
        """Epoch and batch, both from 0, that a cursor says.

        Raises:
            CheckpointMismatchError: it is of other data or other options.
        """
        ...

    def cursor_at(self, epoch: int, batch: int) -> Cursor:
        """The place before a batch, both from 0; S batches on, the next epoch begins."""
        ...


def one_epoch(loader: Loader, epoch: int = 0) -> Iterator[Batch]:
    """The S batches of an epoch, counted from 0, of any loader.

    `for batch in loader` is always epoch 0; a loop by hand over several writes

        for epoch in range(epochs):
            for batch in one_epoch(loader, epoch):
                ...
    """
    return without_places(loader.batches(loader.start(epoch)), loader.steps_per_epoch)


def without_places(batches: Iterator[tuple[AnyBatch, Cursor]], count: int) -> Iterator[AnyBatch]:
    """The next `count` batches alone; then it closes `batches`."""
    with closing(batches):
        for batch, _ in itertools.islice(batches, count):
            yield batch


@contextlib.contextmanager
def closing(batches: Iterator[Any]) -> Iterator[None]:
    """Closes an iterator behind the block, where it is one that can be closed.

    What it holds, threads or processes, then ends there, and not when garbage is collected.
    """
    try:
        yield
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
