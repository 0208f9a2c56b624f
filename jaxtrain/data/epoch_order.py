"""The order of an epoch: which rows are in which batch, a function of seed and epoch alone.

    order = EpochOrder(10, batch_size=4, shuffle=True, seed=0, last_batch="pad")
    indices, mask = order.indices(epoch=3)                   # [3, 4] each

Axis letters: B batch, N rows, S batches in an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

import numpy as np

from jaxtrain.data.shuffle import shuffled
from jaxtrain.errors import ConfigError

LastBatch = Literal["pad", "drop"]


@dataclass(frozen=True)
class EpochOrder:
    """What the loaders that know their rows share; it is also what their workers are sent.

    Args:
        length: N.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, that of the data.
        seed: what the orders depend on.
        last_batch: what happens where N is not a multiple of B. "pad" fills the last batch up with
            other rows and marks them 0 in `row_mask`; "drop" leaves the rest out of this epoch.
        places: the places in each batch that are wanted of it, from 0; None for all. Order, batches
            and their number stay those of the whole, whoever reads a part.

    Raises:
        ConfigError: an option out of range, or "drop" with fewer rows than one batch.
    """

    length: int
    _: KW_ONLY
    batch_size: int
    shuffle: bool
    seed: int
    last_batch: LastBatch
    places: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size: expected 1 or more, found {self.batch_size}")
        if self.seed < 0:
            raise ConfigError(f"seed: expected 0 or more, found {self.seed}")
        if self.last_batch not in ("pad", "drop"):
            raise ConfigError(f"last_batch: expected 'pad' or 'drop', found {self.last_batch!r}")
        if self.last_batch == "drop" and self.batch_size > self.length:
            raise ConfigError(
                f"batch_size: {self.batch_size} is more than the {self.length} rows there are, and "
                "last_batch='drop' would leave no batch; use a smaller batch_size or 'pad'"
            )

        if self.places is not None and not all(0 <= p < self.batch_size for p in self.places):
            raise ConfigError(f"places: expected 0 to {self.batch_size - 1}, found {self.places}")

    def only(self, places: Sequence[int]) -> EpochOrder:
        """The same order, of which each batch has the rows at these places alone."""
        return replace(self, places=tuple(places))

    @property
    def rows_each(self) -> int:
        """How many rows of each batch are wanted."""
        return self.batch_size if self.places is None else len(self.places)

    @property
    def steps_per_epoch(self) -> int:
        """S, the batches in a whole epoch."""
        whole, rest = divmod(self.length, self.batch_size)
        return whole + (rest > 0 and self.last_batch == "pad")

    @property
    def masked(self) -> bool:
        """Whether batches have a `row_mask`."""
        return self.last_batch == "pad"

    def order(self, epoch: int) -> np.ndarray:
        """The rows `[N]` int32 in the order of `epoch`: a function of seed and epoch alone.

        Raises:
            ConfigError: `epoch` is less than 0.
        """
        if epoch < 0:
            raise ConfigError(f"epoch: expected 0 or more, found {epoch}")
        if not self.shuffle:
            return np.arange(self.length, dtype=np.int32)
        return shuffled(self.length, self.seed, epoch)

    def indices(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """All batches of `epoch` as rows of the data, for a gather on the device.

        Returns:
            indices: `[S, B]` int32, or of the places that are wanted. Padding repeats the epoch's
                first rows, which are as good a sample as any where a batch norm looks at them.
            mask: `[S, B]` float32, 0 on padding.
        """
        shape = (self.steps_per_epoch, self.batch_size)
        indices = np.resize(self.order(epoch), shape)
        mask = np.ones(shape, np.float32)
        mask.reshape(-1)[self.length :] = 0
        if self.places is not None:
            indices, mask = indices[:, self.places], mask[:, self.places]
        return indices, read_only(mask)

    def in_words(self) -> str:
        """The options: a loader's fingerprint is these, and what says which data."""
        return (
            f"rows={self.length} batch_size={self.batch_size} shuffle={self.shuffle} "
            f"seed={self.seed} last_batch={self.last_batch}"
        )


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, which may be shared now."""
    array.flags.writeable = False
    return array
