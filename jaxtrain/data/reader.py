"""Reader: reads data that a run has never seen as it has read what it was trained on.

    splits = csv_table(0.1, seed=0, train="train.csv", target="species")
    splits.reader.state()                        # what was fitted, as JSON: part of each checkpoint

    reader = READERS.build(config.data, state=saved)         # in another process, without train.csv
    rows = reader.read(Path("new.csv"))
    rows.inputs, rows.labels, rows.known

A source that fits nothing, and whose inputs are plain arrays, needs no reader: `predict` then takes
a `.npz` file with the inputs as the model wants them. One that has a reader registers its factory
in `READERS` under its own name: what stands before the `*` is `state`, what stands behind it are
options of the same names as the source's.

Axis letters: B rows, D columns of a target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.registry import Registry


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows to predict.

    Args:
        inputs: `[B, ...]` as the model takes them.
        labels: `[B]` or `[B, D]` as a loss takes them, 0 where there is none; None where the file
            has no targets at all.
        known: `[B]` bool, which rows have a label; None where all or none of them do.
        ids: columns that say which row is which, to lead the predictions with, B values each:
            `{"row": [...]}` of a table, counted from 1, `{"index": [...]}` of arrays, from 0,
            `{"file": [...]}` of images, identifiers.

    Raises:
        DataError: no rows, or columns of different lengths.
    """

    inputs: np.ndarray
    labels: np.ndarray | None = None
    known: np.ndarray | None = None
    ids: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {"inputs": len(self.inputs), **{n: len(column) for n, column in self.ids.items()}}
        for name in ("labels", "known"):
            array = getattr(self, name)
            if array is not None:
                lengths[name] = len(array)
        if len(set(lengths.values())) > 1:
            raise DataError(f"new rows: expected as many of each, found {lengths}")
        if not len(self.inputs):
            raise DataError("new rows: expected at least one, found none")

    def __len__(self) -> int:
        return len(self.inputs)


@runtime_checkable
class Reader(Protocol):
    """What was fitted on the training rows, and how a file is read with it."""

    def state(self) -> Mapping[str, Any]:
        """What was fitted, as JSON values; `READERS` makes the reader from it again."""
        ...

    def read(self, path: Path) -> NewRows:
        """The rows of a file or folder; a target need not be there.

        Raises:
            DataNotFoundError: there is nothing at `path`.
            ConfigError: it lacks a column that the model needs.
            DataError: it is broken; names the place.
        """
        ...


READERS = Registry(
    "reader", returns=Reader, hint="a reader has state() and read(path); see data/reader.py"
)
