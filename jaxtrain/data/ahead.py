"""Ahead: an iterator that runs in a thread of its own, a few items ahead of its consumer.

ahead = Ahead(expensive_items(), size=2)
for item in ahead:                   # the next two are being made meanwhile
...
ahead.close()
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class Ahead(Iterator[Item], Generic[Item]):
    """Makes up to `size` items before they are asked for.

    An error in the thread is raised in the consumer, in its turn. After `close` the thread is gone,
    and the iterator is at its end. Where `items` is a generator, the thread closes it when it ends:
    nobody else can while it runs, and what it holds (a file, workers) should not wait for the
    garbage collector.
    """

    def __init__(self, items: Iterable[Item], size: int) -> None:
        self._items = items
        self._ready: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._slots = threading.Semaphore(size)
        self._stopped = False
        self.awaited = False  # whether the consumer is waiting for an item just now
        # A daemon: a source that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="jaxtrain-ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Item:
        self.awaited = True
        kind, value = self._ready.get()
        self.awaited = False
        if kind == "item":
            self._slots.release()
            return value
        self._ready.put(("end", None))  # whoever asks again finds the end again
        if kind == "error":
            raise value
        raise StopIteration

    def close(self, patience: float | None = None) -> None:
        """Stop the thread and wait until it is gone.

        Args:
            patience: seconds after which a thread that is stuck in its source is given up.
        """
        self._stopped = True
        self._slots.release()
        # A consumer that was dropped may be collected, and so closed, in this very thread.
        if self._thread is not threading.current_thread():
            self._thread.join(patience)
        self._ready.put(("end", None))

    def _run(self) -> None:
        try:
            items = iter(self._items)
            try:
                self._make(items)
            finally:
                if isinstance(items, Generator):
                    items.close()
            self._ready.put(("end", None))
        except BaseException as error:  # raised again, in the consumer
            self._ready.put(("error", error))

    def _make(self, items: Iterator[Item]) -> None:
        while True:
            self._slots.acquire()
            if self._stopped:
                return
            try:
                item = next(items)
            except StopIteration:
                return
            self._ready.put(("item", item))
