"""Turn the cells of a table into numbers, with what was learnt from the training rows alone.

    kinds = {name: kind_of(table, name, missing=marks) for name in ("age", "city")}
    encoder = TableEncoder.fit(table, rows, kinds=kinds, missing=marks)
    arrays = encoder.encode(table, {"train": rows}, missing=marks)    # [B, D] float32 each
    encoder.feature_names                                    # ("age", "city=Seoul", "city=?")
    TableEncoder.from_json(encoder.to_json()) == encoder

Axis letters: B rows, D features after encoding, V different texts of a column.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from jaxtrain.data.memory import refuse_too_much
from jaxtrain.data.tables.category_column import CategoryColumn
from jaxtrain.data.tables.column import ColumnEncoder
from jaxtrain.data.tables.date_column import DateColumn
from jaxtrain.data.tables.kinds import Kind
from jaxtrain.data.tables.numeric_column import NumericColumn
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.threads import in_order
from jaxtrain.errors import DataError

_COLUMNS: Mapping[str, Any] = {
    "number": NumericColumn,
    "category": CategoryColumn,
    "date": DateColumn,
}


@dataclass(frozen=True)
class TableEncoder:
    """All columns side by side."""

    columns: tuple[ColumnEncoder, ...]

    @classmethod
    def fit(
        cls,
        table: Table,
        rows: np.ndarray,
        *,
        kinds: Mapping[str, Kind],
        missing: Collection[str],
        day_first: bool | None = None,
    ) -> TableEncoder:
        """Learn from the training rows.

        Args:
            table: what was read.
            rows: the numbers of the training rows.
            kinds: of the columns to encode, in their order. Numbers are standardised, dates become
                turns of the year and the week, all else is a category.
            missing: what stands for a missing value.
            day_first: which order days and months have where slashes are between them.

        Raises:
            DataError: a column with too many categories, or with cells that are not of its kind.
            ConfigError: dates whose day and month can't be told apart.
        """
        columns: list[ColumnEncoder] = []
        for name, kind in kinds.items():
            if kind.kind == "date":
                columns.append(
                    DateColumn.fit(table, name, rows, missing=missing, day_first=day_first)
                )
                continue
            is_number = name in table.numbers or kind.form is not None
            if is_number and has_numbers(table, name, rows, missing):
                sign = kind.form.sign if kind.form else ""
                columns.append(NumericColumn.fit(table, name, rows, missing=missing, sign=sign))
            else:
                columns.append(CategoryColumn.fit(table, name, rows, missing=missing))
        return cls(tuple(columns))

    @classmethod
    def from_json(cls, record: Any) -> TableEncoder:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        if not isinstance(record, list) or not record:
            raise DataError(f"an encoder: expected a list of columns, found {record!r:.80}")
        columns = []
        for one in record:
            kind = one.get("kind") if isinstance(one, dict) else None
            if not isinstance(kind, str) or kind not in _COLUMNS:
                raise DataError(
                    f"an encoder: expected a column of kind {' or '.join(_COLUMNS)}, "
                    f"found {one!r:.80}"
                )
            columns.append(_COLUMNS[kind].from_json(one))
        names = [column.name for column in columns]
        if len(set(names)) < len(names):
            raise DataError("an encoder: a column is in it more than once")
        return cls(tuple(columns))

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON values, a mapping a column."""
        return [dict(column.to_json()) for column in self.columns]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """D names."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that have to be read as text."""
        return tuple(column.name for column in self.columns if column.is_text)

    def strange(self, table: Table, missing: Collection[str]) -> list[str]:
        """A line for each column with cells that the training rows had none of; of new rows.

        They are encoded all the same: a category that is not known as one, a missing number of a
        column that never missed one as the mean.
        """
        lines = [column.strange(table, missing) for column in self.columns]
        return [line for line in lines if line]

    def encode(
        self, table: Table, parts: Mapping[str, np.ndarray], *, missing: Collection[str]
    ) -> dict[str, np.ndarray]:
        """The features of some of the rows, part by part; the table's numbers are used up.

        Args:
            table: what was read.
            parts: the numbers of the rows of each part, ascending.
            missing: what stands for a missing value.

        Returns:
            `[rows of the part, D]` float32 each.

        Raises:
            DataError: a cell is not what its column holds, or too large; names file, line and
                column.
        """
        width = len(self.feature_names)
        count = sum(map(len, parts.values()))
        refuse_too_much(
            4 * count * width,
            what=f"{table.path}: {count:,} rows of {width:,} features",
            remedy="have fewer categories (data.drop leaves a column out), or fewer rows",
        )
        arrays = {name: np.empty((len(rows), width), np.float32) for name, rows in parts.items()}
        bound = [column.bind(table, missing) for column in self.columns]
        done = dict.fromkeys(parts, 0)

        def tasks() -> Iterator[Callable[[], None]]:
            for start, stop, numbers in table.used_up():
                features = np.zeros((stop - start, width), np.float32)
                places = {}
                for name, rows in parts.items():
                    begin = done[name]
                    done[name] = end = begin + int(np.searchsorted(rows[begin:], stop))
                    places[name] = (begin, end)
                yield partial(work, start, stop, numbers, features, places)

        def work(
            start: int,
            stop: int,
            numbers: np.ndarray,
            features: np.ndarray,
            places: Mapping[str, tuple[int, int]],
        ) -> None:
            left = 0
            for column, write in zip(self.columns, bound, strict=True):
                right = left + len(column.feature_names)
                write(numbers, start, stop, features[:, left:right])
                left = right
            for name, (begin, end) in places.items():
                arrays[name][begin:end] = features[parts[name][begin:end] - start]

        for _ in in_order(tasks()):
            pass
        return arrays


def has_numbers(table: Table, name: str, rows: np.ndarray, missing: Collection[str]) -> bool:
    """Whether any of the rows has a value in a column of numbers."""
    if name in table.numbers:
        return bool(np.isfinite(table.floats(name)[rows]).any())
    text = table.texts[name]
    return bool(((text.counts(rows) > 0) & ~text.among(missing)).any())
