"""Which rows of a table are for training, validation and test, by a column that says it.

parts = named_parts(table, "fold")                       # {"train": array([0, 2, ...]), ...}
"""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np

from jaxtrain.data.rows import Task
from jaxtrain.data.shuffle import split_indices
from jaxtrain.data.stratified import TEST_STREAM, VALIDATION_STREAM, split_by_class
from jaxtrain.data.tables.format import TableFormat
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.target import stripped
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

SPELLINGS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What a column may say, in small or large letters, and what it means."""


def named_parts(table: Table, name: str) -> dict[str, np.ndarray]:
    """The numbers of the rows of each part, by a column that says to which each belongs.

    Raises:
        DataError: a cell says something else; names file, line and column.
        ConfigError: no row is for training, or none for the test.
    """
    text = table.texts[name]
    meant = [SPELLINGS.get(value.as_py().lower(), "") for value in text.values]
    row = text.first(np.array([not one for one in meant]))
    if row is not None:
        raise DataError(
            f"{table.place(row, name)}: expected train, validation or test, found "
            f"{text.value(int(text.codes[row]))!r}"
        )
    parts = {
        part: np.flatnonzero(np.array([one == part for one in meant])[text.codes])
        for part in ("train", "validation", "test")
    }
    for part in ("train", "test"):
        if not len(parts[part]):
            raise ConfigError(f"{table.path}: column {name!r}: no row says {part}")
    return parts


def labelled(
    table: Table, written: TableFormat, target: str, unlabelled: Literal["refuse", "drop"]
) -> np.ndarray:
    """The numbers of the rows that have a target, ascending.

    Raises:
        DataError: none has; or some have none, and nobody has said what to do about that.
    """
    if target in table.numbers:
        absent = np.isnan(table.floats(target))
    else:
        text = table.texts[target]
        absent = text.among(written.missing)[text.codes]
    count = int(absent.sum())
    if count == len(table):
        raise DataError(f"{table.path}: column {target!r}: no row has a target")
    if count and unlabelled == "refuse":
        row = int(absent.argmax())
        cell = ""
        if target in table.texts:
            text = table.texts[target]
            cell = f" ({text.value(int(text.codes[row]))!r})"
        raise DataError(
            f"{table.place(row, target)}: the target is missing{cell}, as it is in {count:,} of "
            f"{len(table):,} rows; set data.unlabelled=drop to leave them out"
        )
    if count:
        logger.info(
            "%s: left out %d of %d rows, which have no target", table.path, count, len(table)
        )
    return np.flatnonzero(~absent)


def parts_of(
    table: Table,
    written: TableFormat,
    rows: np.ndarray,
    *,
    target: str,
    task: Task,
    split: str | None,
    test_fraction: float | None,
    split_seed: int,
    validation_fraction: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """The numbers of the rows of each part of the training file, ascending."""
    parts, classes = {}, None
    if split is not None:
        named = named_parts(table, split)
        named = {part: np.intersect1d(chosen, rows) for part, chosen in named.items()}
        rows = named["train"]
        parts = {part: named[part] for part in ("validation", "test") if len(named[part])}
        if not len(rows) or "test" not in parts:
            raise ConfigError(f"{table.path}: no row for train or test has a target")
    elif test_fraction is not None:
        if task == "classification":
            text = table.texts[target]
            _, names = np.unique(stripped(text, written.strip_target), return_inverse=True)
            classes = names.astype(np.int32)[text.codes[rows]]
        drawn = np.zeros(len(rows), np.int32) if classes is None else classes
        kept, tested = split_by_class(drawn, test_fraction, split_seed, stream=TEST_STREAM)
        parts["test"] = rows[tested]
        rows = rows[kept]
        classes = None if classes is None else classes[kept]
    if "validation" not in parts:
        if classes is None:
            kept, validated = split_indices(len(rows), validation_fraction, seed)
        else:  # else the last row to learn a rare class from could go
            kept, validated = split_by_class(
                classes, validation_fraction, seed, stream=VALIDATION_STREAM
            )
        if len(validated):
            parts["validation"] = rows[validated]
        rows = rows[kept]
    return {"train": rows, **parts}
