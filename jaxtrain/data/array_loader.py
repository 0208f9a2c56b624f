"""Batches from arrays in memory, in an order that is a function of seed and epoch alone.

    loader = ArrayLoader(splits.train, batch_size=64, seed=0)
    for batch in loader:
        batch["inputs"].shape                                # (64, 784)
    test = ArrayLoader(splits.test, batch_size=512, shuffle=False)

Axis letters: B batch, N rows, S batches in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeGuard

import numpy as np

from jaxtrain.data.dataset import Dataset, fingerprint, shuffled
from jaxtrain.data.loader import Batch, Cursor
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError


class ArrayLoader:
    """A `Loader` over arrays that share their first axis.

    Args:
        data: a `Dataset`, or arrays by name, each `[N, ...]`; "mask" is the loader's own name.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, the order of the arrays.
        seed: what the orders depend on.
        last_batch: what happens where N is not a multiple of B. "pad" fills the last batch up with
            other rows and marks them 0 in `mask`; "drop" leaves the rest out of this epoch.

    Raises:
        ConfigError: an option out of range, or "drop" with fewer rows than one batch.
        DataError: no arrays, no rows, or arrays of different lengths.
    """

    def __init__(
        self,
        data: Dataset | Mapping[str, np.ndarray],
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        last_batch: Literal["pad", "drop"] = "pad",
    ) -> None:
        self.arrays = dict(data.arrays if isinstance(data, Dataset) else data)
        self.length = _common_length(self.arrays)
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected 1 or more, found {batch_size}")
        if seed < 0:
            raise ConfigError(f"seed: expected 0 or more, found {seed}")
        if last_batch not in ("pad", "drop"):
            raise ConfigError(f"last_batch: expected 'pad' or 'drop', found {last_batch!r}")
        if last_batch == "drop" and batch_size > self.length:
            raise ConfigError(
                f"batch_size: {batch_size} is more than the {self.length} rows there are, and "
                "last_batch='drop' would leave no batch; use a smaller batch_size or 'pad'"
            )
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.last_batch = last_batch
        self._data = data
        self._fingerprint: str | None = None
        self._epoch = 0
        self._batch = 0
        self._run = 0  # counts iterations and restores
        self._whole_mask = _read_only(np.ones(batch_size, np.float32))

    @property
    def steps_per_epoch(self) -> int:
        """S, the batches in a whole epoch."""
        whole, rest = divmod(self.length, self.batch_size)
        return whole + (rest > 0 and self.last_batch == "pad")

    @property
    def masked(self) -> bool:
        """Whether batches have a `mask`."""
        return self.last_batch == "pad"

    @property
    def position(self) -> tuple[int, int]:
        """Epochs done, and batches handed out of this one."""
        return self._epoch, self._batch

    def advance(self, batches: int) -> None:
        """Count `batches` of this epoch as handed out, as iterating over them would.

        With 0, and all of them handed out, the next epoch begins.

        Raises:
            ValueError: fewer are left.
        """
        left = self.steps_per_epoch - self._batch
        if batches > left:
            raise ValueError(f"expected at most {left} batches, found {batches}")
        if batches == left == 0:
            self._epoch, self._batch = self._epoch + 1, 0
        self._batch += batches

    def __iter__(self) -> Iterator[Batch]:
        """What is left of the current epoch; then the cursor is at the next one."""
        run = self._run = self._run + 1
        epoch, steps = self._epoch, self.steps_per_epoch
        indices, mask = self.indices(epoch)
        # A `restore` or another iteration ends this one: there is one place in the data, not two.
        while self._run == run and self._batch < steps:
            step = self._batch
            self._batch += 1
            rows = indices[step]
            batch: Batch = {name: array.take(rows, axis=0) for name, array in self.arrays.items()}
            if self.masked:
                # One mask for all whole batches: it is read-only.
                batch["mask"] = self._whole_mask if step < steps - 1 else mask[step]
            yield batch
        if self._run == run:
            self._epoch, self._batch = epoch + 1, 0

    def order(self, epoch: int) -> np.ndarray:
        """The rows `[N]` int32 in the order of `epoch`: a function of seed and epoch alone."""
        if not self.shuffle:
            return np.arange(self.length, dtype=np.int32)
        return shuffled(self.length, self.seed, epoch)

    def indices(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """All batches of `epoch` as rows of `arrays`, for a gather on the device.

        Returns:
            indices: `[S, B]` int32. Padding repeats the epoch's first rows, which are as good a
                sample as any where a batch norm looks at them.
            mask: `[S, B]` float32, 0 on padding.
        """
        shape = (self.steps_per_epoch, self.batch_size)
        indices = np.resize(self.order(epoch), shape)
        mask = np.ones(shape, np.float32)
        mask.reshape(-1)[self.length :] = 0
        return indices, _read_only(mask)

    def cursor(self) -> Cursor:
        """`{"epoch", "batch", "fingerprint"}`: epochs done, batches handed out of this one."""
        return {"epoch": self._epoch, "batch": self._batch, "fingerprint": self.fingerprint()}

    def restore(self, cursor: Cursor) -> None:
        """Go to a place that `cursor` gave.

        Raises:
            CheckpointMismatchError: the cursor was taken with other data or other options.
        """
        saved, own = cursor.get("fingerprint"), self.fingerprint()
        if saved != own:
            raise CheckpointMismatchError(
                "the saved place in the data belongs to other data or other options, going on from "
                f"it would repeat or skip rows\n  saved: {saved}\n  now:   {own}\n"
                "restore the data and options, or start a new run"
            )
        epoch, batch = cursor.get("epoch"), cursor.get("batch")
        if not _is_count(epoch) or not _is_count(batch) or batch > self.steps_per_epoch:
            raise CheckpointMismatchError(
                f"not a place in these data: epoch {epoch!r}, batch {batch!r}; expected whole "
                f"numbers from 0, and a batch up to {self.steps_per_epoch}"
            )
        self._run += 1
        self._epoch, self._batch = epoch, batch

    def fingerprint(self) -> str:
        """The options in words and the sha256 of the arrays; computed once."""
        if self._fingerprint is None:
            data = self._data
            digest = data.fingerprint() if isinstance(data, Dataset) else fingerprint(data)
            self._fingerprint = (
                f"rows={self.length} batch_size={self.batch_size} shuffle={self.shuffle} "
                f"seed={self.seed} last_batch={self.last_batch} sha256={digest}"
            )
        return self._fingerprint


def _common_length(arrays: Mapping[str, np.ndarray]) -> int:
    if not arrays:
        raise DataError("expected at least one array to load from, found none")
    if "mask" in arrays:
        raise DataError("'mask' is the loader's own; give the array another name")
    scalars = [name for name, array in arrays.items() if array.ndim == 0]
    if scalars:
        raise DataError(f"expected arrays with a first axis of rows, {scalars} have no axis")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"expected arrays of one length, found {lengths}")
    length = next(iter(lengths.values()))
    if length == 0:
        raise DataError("expected at least one row, found none")
    return length


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
