"""Batches of records that are read one by one, ahead of their use, in processes if wanted.

    records = grain.MapDataset.source(files).map(decode)     # or anything with len() and [i]
    loader = GrainLoader(records, batch_size=64, workers=4, fingerprint="birds, 2026-11")

For data that is too big for memory, or must be decoded. Grain reads ahead; the order and the place
in it are jaxtrain's, so that a run goes on with another number of workers, or in another version of
Grain. It wants the extra `jaxtrain[grain]`.

Axis letters: B batch.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterator, Mapping
from multiprocessing import resource_tracker
from typing import Any

from jaxtrain.data.epoch_order import EpochOrder, LastBatch
from jaxtrain.data.loader import Batch, Cursor
from jaxtrain.data.records import RecordReader, Records, corrupt_record, first_good
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError, WorkerError

logger = logging.getLogger(__name__)

# More than a run can count: the stream goes on from epoch to epoch, its workers with it.
_WITHOUT_END = 2**62


class GrainLoader(EpochOrder):
    """A `Loader` over records.

    Its order is that of an `ArrayLoader` with the same options. A record that raises, or differs
    from the first one in names, shapes or dtypes, is corrupt. Up to `max_corrupt` of them are left
    out, each with a warning: their rows hold the first record, with `mask` 0. They are counted over
    the whole run: `skipped` is part of the cursor.

    Args:
        records: the records. With `workers`, what cloudpickle can send to another process.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, that of the records.
        seed: what the orders depend on.
        last_batch: as for an `ArrayLoader`. With `max_corrupt`, "drop" has a mask, too.
        workers: processes that read; 0 reads in a thread of this one. They start with the first
            batch, and end with `close`, or with this process.
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
        self._reader = RecordReader(records, self._order, first_good(records, max_corrupt))
        self._skipped: dict[int, str] = {}
        self._stream: Any = None
        self._stream_at = -1  # the number of the batch that it gives next, counted over epochs

    @property
    def masked(self) -> bool:
        """Whether batches have a `mask`."""
        return super().masked or self.max_corrupt > 0

    @property
    def skipped(self) -> dict[int, str]:
        """The corrupt records met so far in this run, and why each could not be used."""
        return dict(self._skipped)

    def __iter__(self) -> Iterator[Batch]:
        """What is left of the current epoch; then the cursor is at the next one."""
        run = self._run = self._run + 1
        epoch, steps = self._epoch, self.steps_per_epoch
        # A `restore` or another iteration ends this one: there is one place in the data, not two.
        while self._run == run and self._batch < steps:
            batch, corrupt = self._read(epoch * steps + self._batch)
            self._count(corrupt)
            self._batch += 1
            if not self.masked:
                del batch["mask"]
            yield batch
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
        super().restore(cursor)
        self._skipped = found

    def fingerprint(self) -> str:
        """The options in words and the fingerprint of the records."""
        return f"{super().fingerprint()} data={self._data_fingerprint}"

    def close(self) -> None:
        """End the workers. The next iteration starts others."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self.close()

    def _read(self, number: int) -> tuple[Batch, dict[int, str]]:
        """Batch `number` of all, counted from the first of epoch 0, and its corrupt records."""
        try:
            if self._stream is not None and self._stream_at == number:
                result: tuple[Batch, dict[int, str]] = next(self._stream)
            else:
                self.close()
                with _deaf_to_ctrl_c():
                    self._stream, self._stream_at = self._open(number), number
                    result = next(self._stream)  # starts the workers
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError) and "terminated unexpectedly" in str(error):
                raise WorkerError(
                    f"a worker that reads data died before batch {number % self.steps_per_epoch} "
                    f"of epoch {number // self.steps_per_epoch} (both counted from 0): {error} "
                    "Was it killed for its memory? Then use fewer workers"
                ) from error
            raise
        self._stream_at += 1
        return result

    def _open(self, number: int) -> Iterator[Any]:
        try:
            import grain
            from absl import flags
        except ImportError:
            raise ConfigError(
                "GrainLoader needs Grain, which is not installed; install jaxtrain[grain]"
            ) from None
        if not flags.FLAGS.is_parsed():
            # Grain asks for an absl flag, and outside of absl's own main nobody parses them.
            flags.FLAGS.mark_as_parsed()
        numbers = grain.MapDataset.range(number, _WITHOUT_END).map(self._reader)
        if not self.workers:
            options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=self.ahead)
            return iter(numbers.to_iter_dataset(options))
        inline = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        options = grain.MultiprocessingOptions(
            num_workers=self.workers, per_worker_buffer_size=self.ahead
        )
        return iter(numbers.to_iter_dataset(inline).mp_prefetch(options))

    def _count(self, corrupt: Mapping[int, str]) -> None:
        new = {index: why for index, why in corrupt.items() if index not in self._skipped}
        for index, why in new.items():
            if len(self._skipped) == self.max_corrupt:
                raise corrupt_record(index, why, self._skipped)
            self._skipped[index] = why
            logger.warning(
                "record %d is left out, %d of at most %d: %s",
                index,
                len(self._skipped),
                self.max_corrupt,
                why,
            )


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started within do not get SIGINT: they inherit the mask.

    Ctrl-C goes to every process of a terminal. What becomes of it, the one that trains decides.
    """
    resource_tracker.ensure_running()  # or it would start within, and take the mask away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
