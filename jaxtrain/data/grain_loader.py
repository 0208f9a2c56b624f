"""Batches of records that are read one by one, ahead of their use, in processes if wanted.

    records = grain.MapDataset.source(files).map(decode)     # or anything with len() and [i]
    loader = GrainLoader(records, batch_size=64, workers=4, fingerprint="birds, 2026-11")

For data that is too big for memory, or must be decoded. Grain reads ahead; the order and the places
in it are jaxtrain's, so that a run goes on with another number of workers, or in another version of
Grain. It wants the extra `jaxtrain[grain]`.

Axis letters: B batch.
"""

from __future__ import annotations

import importlib.util
import logging
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import jax
import numpy as np

from jaxtrain.batch import ROW_MASK
from jaxtrain.data.epoch_order import EpochOrder, LastBatch
from jaxtrain.data.grain_stream import Stream
from jaxtrain.data.loader import Cursor
from jaxtrain.data.ordered_loader import OrderedLoader
from jaxtrain.data.records import RecordReader, Records, corrupt_record, first_good
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


class GrainLoader(OrderedLoader):
    """A `Loader` over records.

    Its order is that of an `ArrayLoader` with the same options. A record that raises, or differs
    from the first one in names, shapes or dtypes, is corrupt. Up to `max_corrupt` of them are left
    out, each with a warning: their rows hold the first record, with `row_mask` 0. They are counted
    from the beginning of a run: each cursor lists those that were met before it, and `skipped`
    reads that list.

    Each iteration has workers of its own. They start with its first batch, which takes a second;
    when it is closed or dropped they wait for another one that begins at that very place (without
    shuffling, in whatever epoch), as a run does that goes on, or an evaluation that comes again.

    Args:
        records: the records. With `workers`, what Grain can send to another process; without, what
            may be read from a thread of each iteration.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, that of the records.
        seed: what the orders depend on.
        last_batch: as for an `ArrayLoader`. With `max_corrupt`, "drop" has a `row_mask`, too.
        workers: processes that read; 0 reads in a thread of this one. Those that wait end with
            `close`, with the loader, or with this process. They import the main script, which must
            stand below `if __name__ == "__main__":`, and send batches through shared memory (in a
            container, give /dev/shm room).
        ahead: batches that each worker keeps ready.
        max_corrupt: how many corrupt records are left out before one is an error.
        fingerprint: says which data these are: a run goes on with data of the same fingerprint
            only. By default `records.fingerprint()`, where there is one.

    Raises:
        ConfigError: an option out of range, no fingerprint, or no Grain.
        DataError: there are no records, or (here and while iterating) one more corrupt one than
            allowed; it names the record.
        WorkerError: (while iterating) a worker died. The last cursor stands before its batch.
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
        if importlib.util.find_spec("grain") is None:
            raise ConfigError(
                "GrainLoader needs Grain, which is not installed; install jaxtrain[grain]"
            )
        if not len(records):
            raise DataError("expected at least one record, found none")
        order = EpochOrder(
            len(records), batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch
        )
        super().__init__(order)
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
        self._fingerprint = f"{order.in_words()} data={fingerprint}"
        self._first = first_good(records, max_corrupt)
        self._reader = RecordReader(records, order, self._first)
        self._told: set[int] = set()  # the corrupt records that were warned of
        self._waiting: list[Stream] = []  # one, or none
        self._open: set[Stream] = set()
        # At the exit of the process, too: what Grain leaves to the interpreter's end makes noise.
        weakref.finalize(self, _close_all, self._open)

    def only(self, places: Sequence[int]) -> Self:
        """A loader of the same batches, of which it reads the rows at these places alone.

        Raises:
            ConfigError: records may be left out: who reads a part can't know of those that others
                have left out, and its cursors would say less than theirs.
        """
        if self.max_corrupt:
            raise ConfigError(
                f"max_corrupt: {self.max_corrupt} records may be left out, which several processes "
                "can't count together; set it to 0, and mend or leave out those records before"
            )
        part = super().only(places)
        part._reader = self._reader.only(places)
        part._told, part._waiting, part._open = set(), [], set()
        weakref.finalize(part, _close_all, part._open)
        return part

    @property
    def masked(self) -> bool:
        """Whether batches have a `row_mask`."""
        return super().masked or self.max_corrupt > 0

    def fingerprint(self) -> str:
        """The options in words and the fingerprint of the records."""
        return self._fingerprint

    def example(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of every batch; reads nothing."""
        arrays = dict(self._first)
        if self.masked:
            arrays[ROW_MASK] = np.zeros((), np.float32)
        return {
            name: jax.ShapeDtypeStruct((self._order.rows_each, *array.shape), array.dtype)
            for name, array in arrays.items()
        }

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Arrays, Cursor]]:
        """The batches from `cursor` on, epoch after epoch, each with the place behind it.

        Raises:
            CheckpointMismatchError: the cursor is of other data or other options, or had more
                corrupt records left out than `max_corrupt` allows.
        """
        # A function that yields would raise only when it is asked for its first batch.
        if cursor is None:
            return self._from(0, 0, {})
        epoch, batch = self.position(cursor)
        skipped = self.skipped(cursor)
        if len(skipped) > self.max_corrupt:
            raise CheckpointMismatchError(
                f"max_corrupt: {len(skipped)} records were left out before the saved place, but "
                f"now {self.max_corrupt} may be; allow as many as before"
            )
        return self._from(epoch, batch, skipped)

    def cursor_at(self, epoch: int, batch: int) -> Cursor:
        """The place before a batch, both from 0, with no record left out before it."""
        return super().cursor_at(epoch, batch) | {"skipped": []}

    def skipped(self, cursor: Cursor) -> dict[int, str]:
        """The corrupt records met before a place, and why each could not be used.

        Raises:
            CheckpointMismatchError: what the cursor says of them can't be read.
        """
        skipped = cursor.get("skipped", [])
        try:
            return {int(index): str(why) for index, why in skipped}
        except (TypeError, ValueError):
            raise CheckpointMismatchError(
                f"not a place in these data: skipped is {skipped!r}; expected pairs of a record's "
                "number and what was wrong with it"
            ) from None

    def close(self) -> None:
        """End the workers that wait for an iteration. Those of one that goes on end with it."""
        self._leave_waiting(0)

    def _from(
        self, epoch: int, batch: int, skipped: dict[int, str]
    ) -> Iterator[tuple[Arrays, Cursor]]:
        steps, fingerprint, pairs = self.steps_per_epoch, self.fingerprint(), _pairs(skipped)
        stream, whole = self._stream_at(epoch, batch), False
        try:
            while True:
                arrays, corrupt = stream.read(f"batch {batch} of epoch {epoch} (counted from 0)")
                if corrupt.keys() - skipped.keys():
                    self._leave_out(corrupt, skipped)
                    pairs = _pairs(skipped)  # another list: those in earlier cursors stay
                if not self.masked:
                    del arrays[ROW_MASK]
                batch += 1
                if batch == steps:
                    epoch, batch = epoch + 1, 0
                cursor = {"epoch": epoch, "batch": batch, "fingerprint": fingerprint}
                whole = True
                yield arrays, cursor | {"skipped": pairs}
                whole = False
        finally:
            if whole:
                self._waiting.append(stream)
                self._leave_waiting(1)
            else:  # broken off while it was read, by a signal for one, it can't go on
                self._end(stream)

    def _stream_at(self, epoch: int, batch: int) -> Stream:
        """The one that waits, where it stands there; or a new one."""
        steps = self.steps_per_epoch
        number = epoch * steps + batch
        # Iterations may end anywhere, in another thread or under the garbage collector's hands:
        # what waits is taken and put back in single operations.
        waiting = _pop(self._waiting)
        if waiting is not None:
            away = waiting.number - number
            # Without shuffling all epochs are alike.
            if away == 0 or (not self._order.shuffle and away % steps == 0):
                return waiting
            self._end(waiting)
        stream = Stream(self._reader, number, workers=self.workers, ahead=self.ahead)
        self._open.add(stream)
        return stream

    def _leave_waiting(self, count: int) -> None:
        while len(self._waiting) > count:
            older = _pop(self._waiting)
            if older is not None:
                self._end(older)

    def _end(self, stream: Stream) -> None:
        self._open.discard(stream)
        stream.close()

    def _leave_out(self, corrupt: Mapping[int, str], skipped: dict[int, str]) -> None:
        """Add what is corrupt to what was left out, as long as that is allowed."""
        for index, why in corrupt.items():
            if index in skipped:
                continue
            if len(skipped) >= self.max_corrupt:
                raise corrupt_record(index, why, skipped)
            skipped[index] = why
            if index not in self._told:
                self._told.add(index)
                logger.warning(
                    "record %d is left out, %d of at most %d: %s",
                    index,
                    len(skipped),
                    self.max_corrupt,
                    why,
                )


def _pairs(skipped: Mapping[int, str]) -> list[list[int | str]]:
    return [[index, why] for index, why in sorted(skipped.items())]


def _pop(streams: list[Stream]) -> Stream | None:
    try:
        return streams.pop(0)
    except IndexError:
        return None


def _close_all(streams: set[Stream]) -> None:
    while streams:
        stream = streams.pop()
        if not stream.busy:  # whoever waits for its next batch closes it
            stream.close()
