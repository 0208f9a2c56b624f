"""Which rows of a table are for training, validation and test, by a column that says it.

parts = named_parts(table, "fold")                       # {"train": array([0, 2, ...]), ...}
"""

from __future__ import annotations

import numpy as np

from jaxtrain.data.tables.table import Table
from jaxtrain.errors import ConfigError, DataError

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
