"""Batches from arrays in memory, in an order that is a function of seed and epoch alone.

    loader = ArrayLoader(splits.train, batch_size=64, seed=0)
    for batch in loader:
        batch["inputs"].shape                                # (64, 784)
    test = ArrayLoader(splits.test, batch_size=512, shuffle=False)

Axis letters: B batch, N rows, S batches in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from jaxtrain.data.dataset import Dataset, fingerprint
from jaxtrain.data.epoch_order import EpochOrder, LastBatch, read_only
from jaxtrain.data.loader import Batch
from jaxtrain.errors import DataError


class ArrayLoader(EpochOrder):
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
        last_batch: LastBatch = "pad",
    ) -> None:
        self.arrays = dict(data.arrays if isinstance(data, Dataset) else data)
        super().__init__(
            _common_length(self.arrays),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            last_batch=last_batch,
        )
        self._data = data
        self._fingerprint: str | None = None
        self._whole_mask = read_only(np.ones(batch_size, np.float32))

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

    def fingerprint(self) -> str:
        """The options in words and the sha256 of the arrays; computed once."""
        if self._fingerprint is None:
            data = self._data
            digest = data.fingerprint() if isinstance(data, Dataset) else fingerprint(data)
            self._fingerprint = f"{super().fingerprint()} sha256={digest}"
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
