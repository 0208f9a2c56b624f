"""Batches of records that are read one by one, ahead of their use, in processes if wanted.

    records = grain.MapDataset.source(files).map(decode)     # or anything with len() and [i]
    loader = GrainLoader(records, batch_size=64, workers=4, fingerprint="birds, 2026-11")

For data that is too big for memory, or must be decoded. Grain reads ahead; the order and the place
in it are jaxtrain's, so that a run goes on with another number of workers, or in another version of
Grain. It wants the extra `jaxtrain[grain]`.

Axis letters: B batch.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from jaxtrain.data.epoch_order import EpochOrder, LastBatch
from jaxtrain.data.grain_stream import Stream
from jaxtrain.data.loader import Batch, Cursor
from jaxtrain.data.records import RecordReader, Records, corrupt_record, first_good
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError

logger = logging.getLogger(__name__)


class GrainLoader(EpochOrder):
    """A `Loader` over records.

    Its order is that of an `ArrayLoader` with the same options. A record that raises, or differs
    from the first one in names, shapes or dtypes, is corrupt. Up to `max_corrupt` of them are left
    out, each with a warning: their rows hold the first record, with `mask` 0. They are counted over
    the whole run: `skipped` is part of the cursor.

    Args:
        records: the records. With `workers`, what Grain can send to another process.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, that of the records.
        seed: what the orders depend on.
        last_batch: as for an `ArrayLoader`. With `max_corrupt`, "drop" has a mask, too.
        workers: processes that read; 0 reads in a thread of this one. They start with the first
            batch, and end with `close`, or with this process. They import the main script, which
            must stand below `if __name__ == "__main__":`, and send batches through shared memory
            (in a container, give /dev/shm room).
        ahead: batches that each worker keeps ready.
        max_corrupt: how many corrupt records are left out before one is an error.
        fingerprint: says which data these are: a run goes on with data of the same fingerprint
            only. By default `records.fingerprint()`, where there is one.

    Raises:
        ConfigError: an option out of range, no fingerprint, or no Grain.
        DataError: there are no records, or (here and while iterating) one more corrupt one than
            allowed; it names the record.
        WorkerError: (while iterating) a worker died. The cursor stands before the batch.
    """

    def __init__(
        self,
        records: Records,
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        last_batch: LastBatch = "pad",
        workers: int = 0,
        ahead: int = 2,
        max_corrupt: int = 0,
        fingerprint: str | None = None,
    ) -> None:
        for name, value, least in (
            ("workers", workers, 0),
            ("ahead", ahead, 1),
            ("max_corrupt", max_corrupt, 0),
        ):
            if value < least:
                raise ConfigError(f"{name}: expected {least} or more, found {value}")
        if not len(records):
            raise DataError("expected at least one record, found none")
        self._order = EpochOrder(
            len(records), batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch
        )
        super().__init__(
            len(records), batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch
        )
        if fingerprint is None:
            own = getattr(records, "fingerprint", None)
            if own is None:
                raise ConfigError(
                    "fingerprint: expected a text that says which data these are, found none, and "
                    f"{type(records).__name__} has no fingerprint(); name the data and its version"
                )
            fingerprint = str(own())
        self.workers = workers
        self.ahead = ahead
        self.max_corrupt = max_corrupt
        self._data_fingerprint = fingerprint
        self._first = first_good(records, max_corrupt)
        self._reader = RecordReader(records, self._order, self._first)
        self._skipped: dict[int, str] = {}
        self._lock = threading.Lock()  # one iteration may still wait in a thread, given up
        self._open: list[Stream] = []  # one, or none
        # At the exit of the process, too: what Grain leaves to the interpreter's end makes noise.
        weakref.finalize(self, _close_all, self._open)

    @property
    def masked(self) -> bool:
        """Whether batches have a `mask`."""
        return super().masked or self.max_corrupt > 0

    @property
    def skipped(self) -> dict[int, str]:
        """The corrupt records met so far in this run, and why each could not be used."""
        return dict(self._skipped)

    def batch_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes and dtypes of every batch, without reading one."""
        size = self.batch_size
        arrays = {**self._first, **({"mask": np.zeros((), np.float32)} if self.masked else {})}
        return {n: jax.ShapeDtypeStruct((size, *a.shape), a.dtype) for n, a in arrays.items()}

    def __iter__(self) -> Iterator[Batch]:
        """What is left of the current epoch; then the cursor is at the next one."""
        with self._lock:
            run = self._run = self._run + 1
            self._let_go_of_a_busy_stream()
        epoch, steps = self._epoch, self.steps_per_epoch
        # A `restore` or another iteration ends this one: there is one place in the data, not two.
        while self._run == run and self._batch < steps:
            stream = self._stream_at(epoch * steps + self._batch)
            try:
                batch, corrupt = stream.read()
            except BaseException:  # a signal's, too: broken off in the middle, it can't go on
                self._drop(stream)
                raise
            with self._lock:
                if self._run != run:  # somebody else went on, while this one waited
                    if stream not in self._open:
                        stream.close()
                    return
                self._count(corrupt)
                self._batch += 1
            if not self.masked:
                del batch["mask"]
            yield batch
        with self._lock:
            if self._run == run:
                self._epoch, self._batch = epoch + 1, 0

    def cursor(self) -> Cursor:
        """That of every loader, and the records left out so far."""
        return super().cursor() | {"skipped": sorted(map(list, self._skipped.items()))}

    def restore(self, cursor: Cursor) -> None:
        """Go to a place that `cursor` gave.

        Raises:
            CheckpointMismatchError: the cursor was taken with other data or other options.
        """
        skipped = cursor.get("skipped", [])
        try:
            found = {int(index): str(why) for index, why in skipped}
        except (TypeError, ValueError):
            raise CheckpointMismatchError(
                f"not a place in these data: skipped is {skipped!r}; expected pairs of a record's "
                "number and what was wrong with it"
            ) from None
        if len(found) > self.max_corrupt:
            raise CheckpointMismatchError(
                f"max_corrupt: {len(found)} records were left out before the saved place, but now "
                f"{self.max_corrupt} may be; allow as many as before"
            )
        with self._lock:
            super().restore(cursor)
            self._skipped = found
            self._let_go_of_a_busy_stream()

    def fingerprint(self) -> str:
        """The options in words and the fingerprint of the records."""
        return f"{super().fingerprint()} data={self._data_fingerprint}"

    def close(self) -> None:
        """End the workers. The next iteration starts others."""
        _close_all(self._open)

    def _stream_at(self, number: int) -> Stream:
        if not self._open or self._open[0].number != number:
            self.close()
            self._open.append(Stream(self._reader, number, workers=self.workers, ahead=self.ahead))
        return self._open[0]

    def _drop(self, stream: Stream) -> None:
        if stream in self._open:
            self._open.remove(stream)
        stream.close()

    def _let_go_of_a_busy_stream(self) -> None:
        """Whoever still waits for its next batch closes it."""
        if self._open and self._open[0].busy:
            self._open.clear()

    def _count(self, corrupt: Mapping[int, str]) -> None:
        new = {index: why for index, why in corrupt.items() if index not in self._skipped}
        for index, why in new.items():
            if len(self._skipped) >= self.max_corrupt:
                raise corrupt_record(index, why, self._skipped)
            self._skipped[index] = why
            logger.warning(
                "record %d is left out, %d of at most %d: %s",
                index,
                len(self._skipped),
                self.max_corrupt,
                why,
            )


def _close_all(streams: list[Stream]) -> None:
    while streams:
        streams.pop().close()
