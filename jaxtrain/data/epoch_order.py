"""The order of an epoch, and a place in it: what the loaders that know their rows share.

Axis letters: B batch, N rows, S batches in an epoch.
"""

from __future__ import annotations

from typing import Literal, TypeGuard

import numpy as np

from jaxtrain.data.dataset import shuffled
from jaxtrain.data.loader import Cursor
from jaxtrain.errors import CheckpointMismatchError, ConfigError

LastBatch = Literal["pad", "drop"]


class EpochOrder:
    """Which rows are in which batch, a function of seed and epoch alone; and a cursor over it.

    Args:
        length: N.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, that of the data.
        seed: what the orders depend on.
        last_batch: what happens where N is not a multiple of B. "pad" fills the last batch up with
            other rows and marks them 0 in `mask`; "drop" leaves the rest out of this epoch.

    Raises:
        ConfigError: an option out of range, or "drop" with fewer rows than one batch.
    """

    def __init__(
        self, length: int, *, batch_size: int, shuffle: bool, seed: int, last_batch: LastBatch
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected 1 or more, found {batch_size}")
        if seed < 0:
            raise ConfigError(f"seed: expected 0 or more, found {seed}")
        if last_batch not in ("pad", "drop"):
            raise ConfigError(f"last_batch: expected 'pad' or 'drop', found {last_batch!r}")
        if last_batch == "drop" and batch_size > length:
            raise ConfigError(
                f"batch_size: {batch_size} is more than the {length} rows there are, and "
                "last_batch='drop' would leave no batch; use a smaller batch_size or 'pad'"
            )
        self.length = length
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.last_batch = last_batch
        self._epoch = 0
        self._batch = 0
        self._run = 0  # counts iterations and restores

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
        return indices, read_only(mask)

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
        """The options in words. A loader adds what says which data."""
        return (
            f"rows={self.length} batch_size={self.batch_size} shuffle={self.shuffle} "
            f"seed={self.seed} last_batch={self.last_batch}"
        )


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, which may be shared now."""
    array.flags.writeable = False
    return array
