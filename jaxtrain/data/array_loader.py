"""Batches from arrays in memory, in an order that is a function of seed and epoch alone.

    loader = ArrayLoader(splits.train, batch_size=64, seed=0)
    for epoch in range(10):
        for batch in loader.epoch(epoch):
            batch["inputs"].shape                            # (64, 784)
    test = ArrayLoader(splits.test, batch_size=512, shuffle=False)
    for batch in test: ...

Axis letters: B batch, N rows, S batches in an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, Self

import jax
import numpy as np

from jaxtrain.batch import ROW_MASK
from jaxtrain.data.epoch_order import EpochOrder, LastBatch, read_only
from jaxtrain.data.fingerprint import fingerprint
from jaxtrain.data.loader import Cursor
from jaxtrain.data.ordered_loader import OrderedLoader
from jaxtrain.errors import DataError

Arrays = dict[str, np.ndarray]


class HasArrays(Protocol):
    """What a `Dataset` is to its loader."""

    @property
    def arrays(self) -> Arrays:
        """By name, each `[N, ...]`."""
        ...

    def fingerprint(self) -> str:
        """Which arrays they are."""
        ...


class ArrayLoader(OrderedLoader):
    """An `IndexedLoader` over arrays that share their first axis.

    Args:
        data: a `Dataset`, or arrays by name, each `[N, ...]`: a "mask" of your own among them is
            cut into rows like the rest. "row_mask" is the loader's own name.
        batch_size: B, the rows in every batch, the last one included.
        shuffle: a new order each epoch; without it, the order of the arrays.
        seed: what the orders depend on.
        last_batch: what happens where N is not a multiple of B. "pad" fills the last batch up with
            other rows and marks them 0 in `row_mask`; "drop" leaves the rest out of this epoch.

    Raises:
        ConfigError: an option out of range, or "drop" with fewer rows than one batch.
        DataError: no arrays, no rows, or arrays of different lengths.
    """

    def __init__(
        self,
        data: HasArrays | Mapping[str, np.ndarray],
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        last_batch: LastBatch = "pad",
    ) -> None:
        self.arrays = _arrays_of(data)
        super().__init__(
            EpochOrder(
                _shared_length(self.arrays),
                batch_size=batch_size,
                shuffle=shuffle,
                seed=seed,
                last_batch=last_batch,
            )
        )
        self._dataset = None if isinstance(data, Mapping) else data
        self._fingerprint: str | None = None
        self._whole_mask = _ones(batch_size)

    def only(self, places: Sequence[int]) -> Self:
        """A loader of the same batches, of which it makes the rows at these places alone."""
        part = super().only(places)
        part._whole_mask = _ones(self._order.only(places).rows_each)
        return part

    def example(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of every batch; reads nothing."""
        arrays = dict(self.arrays)
        if self.masked:
            arrays[ROW_MASK] = self._whole_mask
        rows = self._order.rows_each
        return {
            name: jax.ShapeDtypeStruct((rows, *array.shape[1:]), array.dtype)
            for name, array in arrays.items()
        }

    def batches(self, cursor: Cursor | None = None) -> Iterator[tuple[Arrays, Cursor]]:
        """The batches from `cursor` on, epoch after epoch, each with the place behind it.

        Raises:
            CheckpointMismatchError: the cursor is of other data or other options.
        """
        # A function that yields would raise only when it is asked for its first batch.
        return self._from(*((0, 0) if cursor is None else self.position(cursor)))

    def epoch(self, epoch: int) -> Iterator[Arrays]:
        """The batches of an epoch, counted from 0.

        Raises:
            ConfigError: it is less than 0.
        """
        return self._gather(*self.indices(epoch), first=0)

    def _from(self, epoch: int, batch: int) -> Iterator[tuple[Arrays, Cursor]]:
        steps, fingerprint = self.steps_per_epoch, self.fingerprint()
        while True:
            for arrays in self._gather(*self.indices(epoch), first=batch):
                batch += 1
                if batch == steps:
                    epoch, batch = epoch + 1, 0
                yield arrays, {"epoch": epoch, "batch": batch, "fingerprint": fingerprint}

    def _gather(self, indices: np.ndarray, mask: np.ndarray, *, first: int) -> Iterator[Arrays]:
        """The batches of an epoch from the one with the number `first` on."""
        steps = len(indices)
        for step in range(first, steps):
            rows = indices[step]
            batch = {name: array.take(rows, axis=0) for name, array in self.arrays.items()}
            if self.masked:
                # One mask for all whole batches: it is read-only.
                batch[ROW_MASK] = self._whole_mask if step < steps - 1 else mask[step]
            yield batch

    def fingerprint(self) -> str:
        """The options in words and the sha256 of the arrays; computed once."""
        if self._fingerprint is None:
            dataset = self._dataset  # which may know it already
            digest = dataset.fingerprint() if dataset is not None else fingerprint(self.arrays)
            self._fingerprint = f"{self._order.in_words()} sha256={digest}"
        return self._fingerprint


def _ones(rows: int) -> np.ndarray:
    return read_only(np.ones(rows, np.float32))


def _arrays_of(data: HasArrays | Mapping[str, np.ndarray]) -> Arrays:
    if isinstance(data, Mapping):
        return dict(data)
    if not hasattr(data, "arrays"):
        raise DataError(
            f"expected a Dataset or arrays by name, found a {type(data).__name__}; "
            'write {"inputs": x, "labels": y}'
        )
    return dict(data.arrays)


def _shared_length(arrays: Mapping[str, np.ndarray]) -> int:
    if not arrays:
        raise DataError("expected at least one array to load from, found none")
    if ROW_MASK in arrays:
        raise DataError(
            f"{ROW_MASK!r} is the loader's own; give the array another name ('mask' is yours: it "
            "says which rows or tokens count)"
        )
    odd = {n: type(a).__name__ for n, a in arrays.items() if not hasattr(a, "ndim")}
    if odd:
        raise DataError(f"expected arrays by name, found {odd}: convert with np.asarray")
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
