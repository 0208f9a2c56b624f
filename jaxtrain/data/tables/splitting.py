"""Which rows of a table are for training, for validation, for the test.

    test = stratified(labels, 0.2, seed=0)                   # the numbers of a fifth of the rows
    parts = named_parts(table.texts["fold"])                 # by a column that says it

Axis letters: B rows.
"""

from __future__ import annotations

import numpy as np

from jaxtrain.data.shuffle import SPLIT_STREAM, shuffled
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import ConfigError, DataError

# Beside that of `split_indices`: the same number as both seeds must not draw related rows.
_TEST_STREAM = SPLIT_STREAM + 1

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


def held_out(length: int, fraction: float, seed: int, classes: np.ndarray | None) -> np.ndarray:
    """The numbers of the rows to test with, ascending: a function of the arguments alone.

    Args:
        length: B.
        fraction: their share.
        seed: draws them.
        classes: `[B]` int, to take the same share of each; None to take any. A class keeps at
            least one row to learn from.

    Raises:
        ConfigError: one of the two parts would be empty.
    """
    count = round(length * fraction)
    if not 0 < count < length:
        raise ConfigError(
            f"data.test_fraction: {fraction} of {length} rows is {count}, which leaves one part "
            "empty; choose another, or name a test file"
        )
    order = shuffled(length, seed, _TEST_STREAM)
    if classes is None:
        return np.sort(order[:count]).astype(np.int64)
    sizes = np.bincount(classes)
    shares = sizes * (count / length)
    quota = np.minimum(np.floor(shares), np.maximum(sizes - 1, 0)).astype(np.int64)
    # What is left over goes to those who are furthest below their share; ties to the first.
    while quota.sum() < count and (quota < sizes - 1).any():
        quota[np.where(quota < sizes - 1, shares - quota, -np.inf).argmax()] += 1
    if not quota.any():  # no class has two rows
        return np.sort(order[:count]).astype(np.int64)
    drawn = classes[order]
    tested = [order[drawn == one][: quota[one]] for one in np.flatnonzero(quota)]
    return np.sort(np.concatenate(tested)).astype(np.int64)


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
