"""Batches that are on the device before the step asks for them.

    loader = prefetch_to_device(ArrayLoader(splits.train, batch_size=64), size=2)
    for batch in loader:                 # jax arrays; the next two are under way
        state, output = step(state, batch)

What comes out is a `Loader` like the one that went in, and its cursor counts only what the consumer
was handed, never what is waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax

from jaxtrain.data.ahead import Ahead
from jaxtrain.data.loader import Batch, Cursor, Loader
from jaxtrain.errors import ConfigError


def prefetch_to_device(loader: Loader, size: int = 2) -> Loader:
    """`loader` with up to `size` batches ahead on the device, wherever that is of use.

    On the CPU the loader comes back as it is: its arrays already are where the step reads them, a
    jitted step takes them as cheaply as device arrays, and a thread only competes with the step
    for the same cores (MLP, batch 64: 312 µs a step without, 375 µs with). The same for `size` 0.

    Raises:
        ConfigError: `size` is negative.
    """
    if size < 0:
        raise ConfigError(f"data.prefetch: expected 0 or more batches, found {size}")
    if size == 0 or jax.default_backend() == "cpu":
        return loader
    return PrefetchLoader(loader, size=size)


class PrefetchLoader:
    """A `Loader` that gathers and transfers the batches of another in a thread of its own.

    The thread lives as long as one iteration: it is gone when the epoch ends, when the consumer
    leaves the loop or closes the iterator, and when another iteration begins. What it had ready
    by then is not lost: the next iteration starts from where the consumer stood.

    Args:
        loader: the loader to read ahead of; from here on it is this one's to move.
        size: batches to keep ready, at least 1.
    """

    def __init__(self, loader: Loader, *, size: int = 2) -> None:
        if size < 1:
            raise ConfigError(f"data.prefetch: expected 1 or more batches, found {size}")
        self._loader = loader
        self._size = size
        self._cursor = loader.cursor()
        self._ahead: Ahead[tuple[Batch | None, Cursor]] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a whole epoch."""
        return self._loader.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        """What is left of the current epoch; an error in the thread is raised here, in its turn."""
        self._stop()
        self._loader.restore(self._cursor)
        ahead = self._ahead = Ahead(self._on_device(), self._size)
        try:
            for batch, cursor in ahead:
                # A `restore` or another iteration took over while this one was suspended.
                if self._ahead is not ahead:
                    return
                self._cursor = cursor
                if batch is not None:
                    yield batch
        finally:
            ahead.close()

    def _on_device(self) -> Iterator[tuple[Batch | None, Cursor]]:
        """Batches with the cursor behind each; at last None, with the cursor at the next epoch."""
        for batch in self._loader:
            yield jax.device_put(batch), self._loader.cursor()
        yield None, self._loader.cursor()

    def cursor(self) -> Cursor:
        """Where the consumer stands."""
        return dict(self._cursor)

    def restore(self, cursor: Cursor) -> None:
        """Go to a place that `cursor` gave, here or in the loader underneath."""
        self._stop()
        self._loader.restore(cursor)
        self._cursor = self._loader.cursor()

    def fingerprint(self) -> str:
        """That of the loader underneath: prefetching changes no batch."""
        return self._loader.fingerprint()

    def _stop(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
