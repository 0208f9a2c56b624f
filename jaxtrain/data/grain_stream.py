"""A stream of numbered batches that Grain reads ahead, in this process or in workers.

stream = Stream(reader, number=12, workers=4, ahead=2)
batch, corrupt = stream.read("batch 2 of epoch 1")       # reader(12), made elsewhere
stream.close()
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any

import numpy as np

from jaxtrain.errors import WorkerError

# More than a run can count: the stream goes on from epoch to epoch, its workers with it.
_WITHOUT_END = 2**62

Result = tuple[dict[str, np.ndarray], dict[int, str]]


class Stream:
    """What `reader` makes of `number`, `number + 1`, and so on.

    Attributes:
        number: that of the next batch.
        busy: whether somebody waits for it.

    Two of them share nothing, and so can be read at once.
    """

    def __init__(
        self, reader: Callable[[int], Result], number: int, *, workers: int, ahead: int
    ) -> None:
        self.number = number
        self.busy = False
        self._workers = workers
        self._batches = _batches(reader, number, workers, ahead)
        self._begun = False

    def read(self, name: str) -> Result:
        """The next batch, and which of its records are corrupt.

        Args:
            name: what an error calls the batch.

        Raises:
            WorkerError: a worker died.
        """
        self.busy = True
        try:
            # The first one starts the workers.
            with contextlib.nullcontext() if self._begun else _deaf_to_ctrl_c():
                self._begun = True
                batch, corrupt = next(self._batches)
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):
                raise
            raise WorkerError(
                f"a worker that reads data died before {name}: {error}"
                + (
                    " Was it killed for its memory? Then use fewer."
                    if "code -9" in str(error)
                    else ""
                )
            ) from error
        finally:
            self.busy = False
        self.number += 1
        if self._workers:
            # They lie in memory that is shared with a worker, and would have to go before it.
            batch = {name: np.array(array) for name, array in batch.items()}
        return batch, corrupt

    def close(self) -> None:
        """End the workers; a second time it does nothing."""
        batches, self._batches = self._batches, None
        if batches is not None:  # Grain's own iterators end with noise where they outlive Python's
            batches.close()


def _batches(reader: Callable[[int], Result], number: int, workers: int, ahead: int) -> Any:
    import grain  # an extra, and slow to import
    from absl import flags

    if not flags.FLAGS.is_parsed():
        # Grain asks for an absl flag, and outside of absl's own main nobody parses them.
        flags.FLAGS.mark_as_parsed()
    numbers = grain.MapDataset.range(number, _WITHOUT_END).map(reader)
    if not workers:
        options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=ahead)
        return iter(numbers.to_iter_dataset(options))
    inline = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=ahead)
    return iter(numbers.to_iter_dataset(inline).mp_prefetch(processes, _end_with_the_parent))


def _end_with_the_parent(*_: int) -> None:
    """In a worker: a parent that was killed could not end it."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, name="jaxtrain-parent", daemon=True).start()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started within do not get SIGINT: they inherit the mask.

    Ctrl-C goes to every process of a terminal. What becomes of it, the one that trains decides.
    """
    resource_tracker.ensure_running()  # or it would start within, and take the mask away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
