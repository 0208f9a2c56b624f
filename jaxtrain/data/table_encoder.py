"""Turn the cells of a table into numbers, with what was learnt from the training rows alone.

    encoder = TableEncoder.fit(train, features=("age", "workclass"), missing=("?", ""))
    encoder.transform(train)                                 # [B, D] float32
    encoder.transform(test)                                  # same D, the training rows' statistics
    encoder.feature_names                                    # ("age", "workclass=Private", ...)

Axis letters: B rows, D features after encoding.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jaxtrain.data.table import Table
from jaxtrain.errors import DataError

# One-hot columns are dense: more than this is an identifier or a text, not a category.
_MOST_CATEGORIES = 1000
_UNKNOWN = "?"


class ColumnEncoder(Protocol):
    """One column of cells to one or more features."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name a feature."""
        ...

    def transform(self, table: Table) -> np.ndarray:
        """The features `[B, D]` float32 of the table's cells."""
        ...


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """A column of numbers, standardised; missing cells become the mean, which is 0.

    Args:
        name: the column.
        mean: of the training cells that are there.
        deviation: their standard deviation, or 1 where they are all the same.
        missing: what stands for a missing value.
        flag_missing: adds a feature that is 1 where the cell is missing; set where a training cell
            is, for a flag that never was 1 can't be learnt from.
    """

    name: str
    mean: float
    deviation: float
    missing: Collection[str]
    flag_missing: bool

    @classmethod
    def fit(cls, table: Table, name: str, missing: Collection[str]) -> NumericColumn:
        """Statistics of the cells of `table`."""
        values = _numbers(table, name, missing)
        absent = np.isnan(values)
        present = values[~absent]
        deviation = float(present.std()) if present.size else 0.0
        return cls(
            name=name,
            mean=float(present.mean()) if present.size else 0.0,
            # A constant column in floating point may deviate by rounding alone.
            deviation=deviation if deviation > 1e-12 * float(np.abs(present).max(initial=0)) else 1,
            missing=missing,
            flag_missing=bool(absent.any()),
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's name, and the flag's."""
        return (self.name, f"{self.name}={_UNKNOWN}") if self.flag_missing else (self.name,)

    def transform(self, table: Table) -> np.ndarray:
        """`[B, 1]`, or `[B, 2]` with the flag."""
        values = _numbers(table, self.name, self.missing)
        absent = np.isnan(values)
        scaled = np.where(absent, 0.0, (values - self.mean) / self.deviation)
        features = [scaled, absent] if self.flag_missing else [scaled]
        return np.stack(features, axis=1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class CategoryColumn:
    """A column of categories, one-hot; the last feature stands for missing and unseen ones.

    Args:
        name: the column.
        categories: those of the training cells, sorted, without the missing ones.
    """

    name: str
    categories: tuple[str, ...]

    @classmethod
    def fit(cls, table: Table, name: str, missing: Collection[str]) -> CategoryColumn:
        """The categories among the cells of `table`."""
        categories = sorted(set(table.column(name)).difference(missing))
        if len(categories) > _MOST_CATEGORIES:
            raise DataError(
                f"{table.path}: column {name!r} has {len(categories):,} different values; at most "
                f"{_MOST_CATEGORIES:,} become categories. List it in data.drop"
            )
        return cls(name=name, categories=tuple(categories))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`name=category` for each, and `name=?` at the end."""
        return tuple(f"{self.name}={category}" for category in (*self.categories, _UNKNOWN))

    def transform(self, table: Table) -> np.ndarray:
        """`[B, categories + 1]`, one 1 in each row."""
        places = {category: place for place, category in enumerate(self.categories)}
        unknown = len(self.categories)
        chosen = [places.get(cell, unknown) for cell in table.column(self.name)]
        features = np.zeros((len(table), unknown + 1), np.float32)
        features[np.arange(len(table)), chosen] = 1
        return features


@dataclass(frozen=True)
class TableEncoder:
    """All columns side by side, in the order they were asked for."""

    columns: tuple[ColumnEncoder, ...]

    @classmethod
    def fit(
        cls,
        table: Table,
        *,
        features: tuple[str, ...],
        missing: Collection[str] = ("?", ""),
        categorical: Collection[str] = (),
    ) -> TableEncoder:
        """Learn from the training rows.

        A column is numeric where every cell that is not missing is a number, else a category.

        Args:
            table: the training rows.
            features: the columns to encode.
            missing: what stands for a missing value.
            categorical: columns of codes, which are categories even where they look like numbers.

        Raises:
            DataError: a column of which some cells are numbers and some not, and that is not in
                `categorical`; one with too many categories; a number that is not finite.
        """
        return cls(
            tuple(
                CategoryColumn.fit(table, name, missing)
                if name in categorical or not _is_numeric(table, name, missing)
                else NumericColumn.fit(table, name, missing)
                for name in features
            )
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """D names."""
        return tuple(name for column in self.columns for name in column.feature_names)

    def transform(self, table: Table) -> np.ndarray:
        """The features `[B, D]` float32.

        Raises:
            DataError: a cell of a numeric column is not a number; names file, line and column.
        """
        return np.concatenate([column.transform(table) for column in self.columns], axis=1)


def parse_number(cell: str) -> float | None:
    """The number in a cell, or None.

    >>> parse_number("-1.5e3"), parse_number("Private"), parse_number("1_000")
    (-1500.0, None, None)
    """
    try:
        # Python reads digits grouped by underscores as a number; no CSV file means it so.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _is_numeric(table: Table, name: str, missing: Collection[str]) -> bool:
    text = None  # the first cell that is not a number
    numbers = 0
    for row, cell in enumerate(table.column(name)):
        if cell in missing:
            continue
        if parse_number(cell) is not None:
            numbers += 1
        elif text is None:
            text = row
    if text is None:
        return numbers > 0
    if numbers:
        cell = table.column(name)[text]
        raise DataError(
            f"{table.place(text, name)}: {cell!r} is not a number, but {numbers:,} other cells of "
            "this column are. Add it to data.missing if it stands for a missing value, or the "
            "column to `categorical` if its numbers are codes"
        )
    return False


def _numbers(table: Table, name: str, missing: Collection[str]) -> np.ndarray:
    """The cells `[B]` float64, NaN where missing."""
    values = np.full(len(table), np.nan)
    for row, cell in enumerate(table.column(name)):
        if cell in missing:
            continue
        number = parse_number(cell)
        if number is None or not math.isfinite(number):
            raise DataError(
                f"{table.place(row, name)}: expected a finite number, found {cell!r}; add it to "
                "`missing` if it stands for a missing value"
            )
        values[row] = number
    return values
