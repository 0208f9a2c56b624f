"""What an encoder of one column is, and how it is read from JSON.

    write = column.bind(table, missing)
    write(numbers, start, stop, out)                         # out [b, width], of these rows' cells

Axis letters: B rows, N columns of numbers, b rows of a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np

from jaxtrain.data.tables.numbers import NumberForm
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import DataError

Write = Callable[[np.ndarray, int, int, np.ndarray], None]
"""`(numbers [N, b], start, stop, out [b, width])`: a block of the table's numbers, the numbers of
its first row and of the one behind its last, and where the features go; `out` holds zeros."""

_LARGEST = float(np.finfo(np.float32).max)


class ColumnEncoder(Protocol):
    """One column of cells to one or more features."""

    @property
    def name(self) -> str:
        """The column."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether it has to be read as text."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name a feature."""
        ...

    def bind(self, table: Table, missing: Collection[str]) -> Write:
        """What writes the features of this column of `table`.

        Raises:
            DataError: a cell is not what the column holds.
        """
        ...

    def strange(self, table: Table, missing: Collection[str]) -> str:
        """What is to be said of cells such as no training row had; empty where there are none."""
        ...

    def to_json(self) -> Mapping[str, Any]:
        """What was learnt, as JSON values."""
        ...


def floats_of(table: Table, name: str, missing: Collection[str], sign: str = "") -> np.ndarray:
    """`[B]` float64 of a column of numbers that was read as text, NaN where a cell is missing.

    Raises:
        DataError: a cell is neither a finite number nor missing.
    """
    text = table.texts[name]
    form = NumberForm(table.dialect.decimal, table.dialect.thousands, sign)
    values, absent = form.parse(text.values), text.among(missing)
    row = text.first(~(np.isfinite(values) | absent))
    if row is not None:
        cell, expected = text.value(int(text.codes[row])), "a finite number"
        expected += f" with the sign {sign}, as the training rows have it" if sign else ""
        raise DataError(
            f"{table.place(row, name)}: expected {expected}, found {cell!r}; mend the "
            "cell, or add it to data.missing if it stands for a missing value"
        )
    values[absent] = np.nan
    return values[text.codes]


def refuse_overflow(
    table: Table, name: str, start: int, cells: np.ndarray, encoded: np.ndarray
) -> None:
    """Raise a `DataError` that names the first cell whose feature is too large for float32."""
    with np.errstate(invalid="ignore"):
        if np.abs(encoded).max(initial=0) <= _LARGEST:
            return
        bad = ~(np.abs(encoded) <= _LARGEST) & np.isfinite(cells)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{table.place(start + first, name)}: {cells[first]:g} is too large: it is "
            f"{encoded[first]:.3g} standard deviations from the mean of the training rows"
        )


def text_in(record: Mapping[str, Any], name: str) -> str:
    """A text of a saved column.

    Raises:
        DataError: there is none.
    """
    value = record.get(name)
    if not isinstance(value, str):
        raise DataError(f"an encoder: {name}: expected text, found {value!r:.80}")
    return value


def flag_in(record: Mapping[str, Any], name: str) -> bool:
    """A truth value of a saved column; errors as `text_in`."""
    value = record.get(name)
    if not isinstance(value, bool):
        raise DataError(f"an encoder: {name}: expected true or false, found {value!r:.80}")
    return value


def number_in(record: Mapping[str, Any], name: str, *, above: float = -math.inf) -> float:
    """A finite number of a saved column, above a bound; errors as `text_in`."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"an encoder: {name}: expected a number, found {value!r:.80}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number > above):
        raise DataError(f"an encoder: {name}: expected a finite number, found {value!r:.80}")
    return number
