"""What every loader is: batches, a place in them, and a way back to it.

    for batch in loader:                 # what is left of the current epoch
        state, output = step(state, batch)
    cursor = loader.cursor()             # JSON-able; now at the next epoch
    loader.restore(cursor)

A batch is a dict of arrays. With `last_batch="pad"` each batch has a `mask` `[B]` float32, 1 on
rows and 0 on padding; with "drop" none has one. B is the same in every batch, so that a jitted step
compiles once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

Batch = dict[str, Any]
Cursor = dict[str, Any]


@runtime_checkable
class Loader(Protocol):
    """Batches with a cursor. See `ArrayLoader` for the one most runs use."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a whole epoch."""
        ...

    def __iter__(self) -> Iterator[Batch]:
        """The batches that are left of the current epoch; at their end the next one begins.

        Between the last batch and the end of the iteration the cursor stands behind that batch,
        still in its epoch: restored there, the loader yields nothing more for this epoch.
        """
        ...

    def cursor(self) -> Cursor:
        """Where the loader stands, in values JSON knows: it counts batches handed out."""
        ...

    def restore(self, cursor: Cursor) -> None:
        """Go back to where `cursor()` was taken; refuse a cursor of other data or options."""
        ...

    def fingerprint(self) -> str:
        """Says which data in which order: equal fingerprints give equal batches."""
        ...


@runtime_checkable
class IndexedLoader(Protocol):
    """A `Loader` over arrays, which offers them: a dispatch can then gather on the device."""

    arrays: dict[str, Any]
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """S, the batches in a whole epoch."""
        ...

    @property
    def masked(self) -> bool:
        """Whether its batches have a `mask`."""
        ...

    @property
    def position(self) -> tuple[int, int]:
        """Epochs done, and batches handed out of this one."""
        ...

    def indices(self, epoch: int) -> tuple[Any, Any]:
        """The rows of all batches `[S, B]` int32, and their masks `[S, B]` float32."""
        ...

    def advance(self, batches: int) -> None:
        """Count `batches` as handed out; standing at the end of an epoch, begin the next one."""
        ...
