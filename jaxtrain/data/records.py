"""Records by number, and how a batch is made of them.

reader = RecordReader(records, order, first_good(records, max_corrupt=0))
batch, corrupt = reader(0)
corrupt                          # {17: "OSError: ..."}: those could not be read
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from jaxtrain.batch import ROW_MASK
from jaxtrain.data.epoch_order import EpochOrder
from jaxtrain.errors import DataError


class Records(Protocol):
    """Records by number: a Grain source, a `grain.MapDataset`, a list."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """Arrays and numbers by name; an error where the record can't be read."""
        ...


class RecordReader:
    """Reads batch `number` of all, counted over epochs; it is what the workers get."""

    def __init__(self, records: Records, order: EpochOrder, first: dict[str, np.ndarray]) -> None:
        self._records = records
        self._order = order
        self._first = first
        self._grid: tuple[int, np.ndarray, np.ndarray] | None = None

    def only(self, places: Sequence[int]) -> RecordReader:
        """One that reads of each batch the rows at these places alone."""
        return RecordReader(self._records, self._order.only(places), self._first)

    def __call__(self, number: int) -> tuple[dict[str, np.ndarray], dict[int, str]]:
        """The batch, with `row_mask`, and the records that could not be used, with the reason."""
        epoch, step = divmod(int(number), self._order.steps_per_epoch)
        grid = self._grid  # looked at once: threads of two iterations may read at once
        if grid is None or grid[0] != epoch:
            grid = self._grid = epoch, *self._order.indices(epoch)
        rows, mask = grid[1][step], grid[2][step].copy()
        records, corrupt = [], {}
        for place, row in enumerate(rows.tolist()):
            record, why = _read(self._records, row, self._first)
            records.append(record)
            if why:
                corrupt[row] = why
                mask[place] = 0
        batch = {name: np.stack([record[name] for record in records]) for name in self._first}
        return batch | {ROW_MASK: mask}, corrupt


def _read(
    records: Records, index: int, first: dict[str, np.ndarray] | None
) -> tuple[dict[str, np.ndarray], str]:
    """A record as arrays, and ""; or `first` in its place, and what is wrong."""
    try:
        record = {str(name): np.asarray(value) for name, value in records[index].items()}
    except Exception as error:  # whatever a reader or decoder raises; it is told, and counted
        return first or {}, f"{type(error).__name__}: {error}"
    if first is not None and _kinds(record) != _kinds(first):
        return first, f"expected {_in_words(first)} as in the first record, found " + (
            _in_words(record)
        )
    return record, ""


def first_good(records: Records, max_corrupt: int) -> dict[str, np.ndarray]:
    """The first record that can be read: all others must be like it."""
    for index in range(min(len(records), max_corrupt + 1)):
        record, why = _read(records, index, None)
        if not why:
            if not record or ROW_MASK in record:
                raise DataError(
                    f"expected records of arrays by name, {ROW_MASK!r} not among them, found "
                    f"{_in_words(record)}"
                )
            return record
    raise corrupt_record(index, why, {})


def corrupt_record(index: int, why: str, skipped: Mapping[int, str]) -> DataError:
    """The error about a record, after those that were left out."""
    before = f"; left out before: records {', '.join(map(str, sorted(skipped)))}" if skipped else ""
    return DataError(f"record {index} (counted from 0) is corrupt: {why}{before}")


def _kinds(record: Mapping[str, np.ndarray]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    return {name: (array.shape, array.dtype) for name, array in record.items()}


def _in_words(record: Mapping[str, np.ndarray]) -> str:
    kinds = [f"{name} {array.dtype}{list(array.shape)}" for name, array in sorted(record.items())]
    return ", ".join(kinds) or "nothing"
