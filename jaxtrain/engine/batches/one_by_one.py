"""OneByOne: single batches, as the loader gives them; for the single form and for host engines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from jaxtrain.data import Cursor, Loader
from jaxtrain.engine.batches.door import PlainIterable
from jaxtrain.engine.batches.portion import Portion


class OneByOne:
    """Single batches.

    Args:
        loader: the loader.
        adapt: what is done to each batch.
    """

    def __init__(
        self, loader: Loader | PlainIterable, adapt: Callable[[Any], Any] = lambda batch: batch
    ) -> None:
        self._loader = loader
        self._adapt = adapt
        self._batches: Iterator[tuple[Any, Cursor | None]] | None = None
        self._cursor: Cursor | None = None

    def begin(self, cursor: Cursor | None, *, anew: bool) -> None:
        """Go to the cursor; a plain iterable goes on, or begins anew."""
        if isinstance(self._loader, PlainIterable):
            if anew:
                self._batches = None
                self._loader.restart()
        elif self._batches is None or cursor != self._cursor:
            self.close()
            self._batches, self._cursor = self._loader.batches(cursor), cursor

    def take(self, limit: int, wanted: int | None) -> Portion | None:
        """The next batch, whatever the limit."""
        if self._batches is None:
            self._batches = self._loader.batches(self._cursor)
        batches, self._batches = self._batches, None  # broken, where something is raised in it
        try:
            given, cursor = next(batches)
        except StopIteration:
            return None
        self._batches, self._cursor = batches, cursor
        batch = self._adapt(given)
        return Portion(batch, 0, 1, None, lambda index: batch, cursor)

    def get_ready(self) -> None:
        """Nothing: a loader that can do so reads ahead by itself."""

    def close(self) -> None:
        """Close what can be found again: an iterator that reads ahead then ends its thread."""
        if isinstance(self._loader, PlainIterable):
            return
        if isinstance(self._batches, Generator):
            self._batches.close()
        self._batches = None
