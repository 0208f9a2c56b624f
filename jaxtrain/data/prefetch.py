"""Batches that are on the device before the step asks for them.

    loader = prefetch_to_device(ArrayLoader(splits.train, batch_size=64), size=2)
    for batch in loader:                 # jax arrays; the next two are under way
        state, output = step(state, batch)

What comes out is a `Loader` like the one that went in, and its cursor counts only what the consumer
was handed, never what is waiting.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import jax

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
        self._worker: _Worker | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a whole epoch."""
        return self._loader.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        """What is left of the current epoch; an error in the thread is raised here, in its turn."""
        self._stop()
        self._loader.restore(self._cursor)
        worker = self._worker = _Worker(self._loader, self._size)
        try:
            while True:
                item = worker.next()
                # A `restore` or another iteration took over while this one was suspended.
                if self._worker is not worker:
                    return
                if item.error is not None:
                    raise item.error
                self._cursor = item.cursor
                if item.batch is None:
                    return
                yield item.batch
        finally:
            worker.stop()

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
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


@dataclass(frozen=True)
class _Item:
    batch: Batch | None  # None: the end of the epoch, or an error
    cursor: Cursor  # where the loader stood behind the batch
    error: BaseException | None = None


class _Worker:
    """The thread, and the queue it fills with at most `size` batches."""

    def __init__(self, loader: Loader, size: int) -> None:
        self._loader = loader
        self._ready: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._slots = threading.Semaphore(size)
        self._stopped = False
        # A daemon: a loader that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="jaxtrain-prefetch", daemon=True)
        self._thread.start()

    def next(self) -> _Item:
        item = self._ready.get()
        self._slots.release()
        return item

    def stop(self) -> None:
        self._stopped = True
        self._slots.release()
        self._thread.join()
        # An iteration that was overtaken finds an end when it goes on, instead of waiting forever.
        self._ready.put(_Item(None, {}))

    def _run(self) -> None:
        try:
            batches = iter(self._loader)
            while True:
                self._slots.acquire()
                if self._stopped:
                    return
                batch = next(batches, None)
                if batch is None:
                    break
                self._ready.put(_Item(jax.device_put(batch), self._loader.cursor()))
            self._ready.put(_Item(None, self._loader.cursor()))
        except BaseException as error:  # raised again, in the consumer
            self._ready.put(_Item(None, {}, error))
