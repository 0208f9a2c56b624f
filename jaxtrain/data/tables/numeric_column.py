"""A column of numbers, standardised.

    column = NumericColumn.fit(table, "age", rows, missing=("?", ""))
    column.feature_names                                     # ("age", "age=?")

Axis letters: B rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrain.data.tables.column import (
    Write,
    flag_in,
    floats_of,
    number_in,
    refuse_overflow,
    text_in,
)
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import DataError


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """Missing cells become the mean, which is 0.

    Args:
        name: the column.
        mean: of the training cells that are there.
        deviation: their standard deviation, or 1 where they are all the same.
        flag_missing: adds a feature that is 1 where the cell is missing; set where a training cell
            is, for a flag that never was 1 can't be learnt from.
        sign: what each number has beside it, such as "%".
    """

    name: str
    mean: float
    deviation: float
    flag_missing: bool
    sign: str = ""

    @classmethod
    def fit(
        cls,
        table: Table,
        name: str,
        rows: np.ndarray,
        *,
        missing: Collection[str],
        sign: str = "",
    ) -> NumericColumn:
        """Statistics of the cells in `rows`.

        Raises:
            DataError: a cell is no number, or too large to be one among others.
        """
        if name in table.numbers:
            values = table.floats(name)
            values = values if len(rows) == len(values) else values[rows]
        else:
            values = floats_of(table, name, missing, sign)[rows]
        absent = np.isnan(values)
        present = values[~absent] if absent.any() else values
        mean, deviation = _statistics(present)
        if not (np.isfinite(mean) and np.isfinite(deviation)):
            row = int(rows[int(np.nanargmax(np.abs(values)))])
            raise DataError(
                f"{table.place(row, name)}: too large a number: the column has no standard "
                "deviation in double precision"
            )
        return cls(
            name=name,
            mean=mean,
            # A constant column in floating point may deviate by rounding alone.
            deviation=deviation if deviation > 1e-12 * float(np.abs(present).max(initial=0)) else 1,
            flag_missing=bool(absent.any()),
            sign=sign,
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> NumericColumn:
        """What `to_json` gave; a `DataError` where it is something else."""
        return cls(
            name=text_in(record, "name"),
            mean=number_in(record, "mean"),
            deviation=number_in(record, "deviation", above=0),
            flag_missing=flag_in(record, "flag_missing"),
            sign=text_in(record, "sign"),
        )

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {
            "kind": "number",
            "name": self.name,
            "mean": self.mean,
            "deviation": self.deviation,
            "flag_missing": self.flag_missing,
            "sign": self.sign,
        }

    @property
    def is_text(self) -> bool:
        """With a sign no cell is a number as it stands."""
        return bool(self.sign)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's name, and the flag's."""
        return (self.name, f"{self.name}=?") if self.flag_missing else (self.name,)

    def strange(self, table: Table, missing: Collection[str]) -> str:
        """What is to be said of missing cells, where no training cell was; empty where none is."""
        if self.flag_missing:
            return ""
        if self.name in table.numbers:
            count = int(np.isnan(table.floats(self.name)).sum())
        else:
            text = table.texts[self.name]
            count = int(text.counts()[text.among(missing)].sum())
        if not count:
            return ""
        return (
            f"column {self.name!r}: {count:,} of {len(table):,} cells are missing, which none of "
            f"the training rows was: they count as the mean, {self.mean:g}"
        )

    def bind(self, table: Table, missing: Collection[str]) -> Write:
        """Writes `[n, 1]`, or `[n, 2]` with the flag."""
        place = table.numbers.get(self.name)
        cells = None if place is not None else floats_of(table, self.name, missing, self.sign)

        def write(numbers: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
            values = numbers[place] if cells is None else cells[start:stop]
            absent = np.isnan(values)
            with np.errstate(over="ignore"):
                scaled = (values - self.mean) / self.deviation
            refuse_overflow(table, self.name, start, values, scaled)
            out[:, 0] = np.where(absent, 0.0, scaled)
            if self.flag_missing:
                out[:, 1] = absent

        return write


def _statistics(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        return float(values.mean()), float(values.std())
