"""OneByOne: single batches, as the loader gives them; for the single form and for host engines."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

from jaxtrain.data import Cursor, Loader, MembersLoader
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
        self._batches: Iterator[tuple[Any, Cursor]] | None = None
        self._ahead: deque[tuple[Any, Cursor]] = deque()  # one, or none
        self._cursor: Cursor | None = None

    def begin(self, cursor: Cursor | None, *, anew: bool) -> None:
        """Go to the cursor; a plain iterable goes on, or begins anew."""
        if isinstance(self._loader, PlainIterable):
            if anew:
                self._loader.restart()
        elif self._batches is None or cursor != self._cursor:
            self.close()
            self._batches, self._cursor = self._loader.batches(cursor), cursor

    def take(self, limit: int, wanted: int | None) -> Portion | None:
        """The next batch, whatever the limit."""
        if isinstance(self._loader, PlainIterable):
            found = self._loader.ahead(1)
            if not found:
                self._loader.begin_again()
                return None
            return self._portion(found[0])
        if not self._ahead:
            if self._batches is None:
                self._batches = self._loader.batches(self._cursor)
            batches, self._batches = self._batches, None  # broken, where it raises something
            self._ahead.extend(itertools.islice(batches, 1))
            self._batches = batches
        return self._portion(self._ahead[0][0]) if self._ahead else None

    def used(self, count: int) -> Cursor | None:
        """The batch is used."""
        if isinstance(self._loader, PlainIterable):
            self._loader.drop(count)
        else:
            _, self._cursor = self._ahead.popleft()
        return self._cursor

    def get_ready(self) -> None:
        """Nothing: a loader that can do so reads ahead by itself."""

    def close(self) -> None:
        """Close what can be found again: an iterator that reads ahead then ends its thread."""
        if isinstance(self._batches, Generator):
            self._batches.close()
        self._batches = None
        self._ahead.clear()

    def _portion(self, given: Any) -> Portion:
        batch = self._adapt(given)
        members = 0 if isinstance(self._loader, MembersLoader) else None
        return Portion(batch, 0, 1, None, lambda index: batch, members=members)
