"""A column of dates: how late, and when in the year, in the week, in the day.

    column = DateColumn.fit(table, "sold", rows, missing=("",))
    column.feature_names         # ("sold", "sold:sin(year)", "sold:cos(year)", ...)

Axis letters: B rows, V different texts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrain.data.tables.column import (
    Write,
    flag_in,
    number_in,
    refuse_overflow,
    text_in,
)
from jaxtrain.data.tables.dates import FORMS, Dates, date_form, parse_dates
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import ConfigError, DataError

_DAY = 86400  # seconds
# The last bit of a sine may be another one on another processor, and with it a fingerprint.
_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class DateColumn:
    """Days since 1970, standardised, and sine and cosine of what comes again.

    Args:
        name: the column.
        form: how its dates are written, one of `FORMS`.
        mean: of the training dates, in days since 1970.
        deviation: their standard deviation, or 1 where they are all the same.
        has_time: whether they have times of the day.
        flag_missing: adds a feature that is 1 where the cell is missing, and all others are 0.
    """

    name: str
    form: str
    mean: float
    deviation: float
    has_time: bool
    flag_missing: bool

    @classmethod
    def fit(
        cls,
        table: Table,
        name: str,
        rows: np.ndarray,
        *,
        missing: Collection[str],
        day_first: bool | None = None,
    ) -> DateColumn:
        """Statistics of the cells in `rows`; how they are written, all cells say.

        Raises:
            ConfigError: day and month can't be told apart.
            DataError: the cells are no dates of one form.
        """
        import pyarrow as pa

        text = table.texts[name]
        absent = text.among(missing)
        form = date_form(text.values.filter(pa.array(~absent)), day_first=day_first, declared=True)
        if form == "ambiguous":
            raise ConfigError(
                f"{table.path}: column {name!r}: no date says whether the day or the month comes "
                f"first, such as {text.value(int((~absent).argmax()))!r}; set data.day_first to "
                "true or false"
            )
        if form is None:
            raise DataError(_no_dates(table, name, absent))
        dates = parse_dates(text.values, form)
        moments = np.where(absent, np.nan, dates.days + dates.seconds / _DAY)[text.codes[rows]]
        present = moments[~np.isnan(moments)]
        deviation = float(present.std()) if present.size else 0.0
        return cls(
            name=name,
            form=form,
            mean=float(present.mean()) if present.size else 0.0,
            deviation=deviation if deviation > 1e-9 else 1.0,
            has_time=dates.has_time,
            flag_missing=bool(np.isnan(moments).any()),
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DateColumn:
        """What `to_json` gave; a `DataError` where it is something else."""
        form = text_in(record, "form")
        if form not in FORMS:
            raise DataError(f"an encoder: form: expected one of {', '.join(FORMS)}, found {form!r}")
        return cls(
            name=text_in(record, "name"),
            form=form,
            mean=number_in(record, "mean"),
            deviation=number_in(record, "deviation", above=0),
            has_time=flag_in(record, "has_time"),
            flag_missing=flag_in(record, "flag_missing"),
        )

    def strange(self, table: Table, missing: Collection[str]) -> str:
        """What is to be said of missing cells, where no training cell was; empty where none is."""
        text = table.texts[self.name]
        count = int(text.counts()[text.among(missing)].sum())
        if self.flag_missing or not count:
            return ""
        return (
            f"column {self.name!r}: {count:,} of {len(text):,} dates are missing, which none of "
            "the training rows was: they count as the mean"
        )

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {
            "kind": "date",
            "name": self.name,
            "form": self.form,
            "mean": self.mean,
            "deviation": self.deviation,
            "has_time": self.has_time,
            "flag_missing": self.flag_missing,
        }

    @property
    def is_text(self) -> bool:
        """It is read as text."""
        return True

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's name, `name:sin(year)` and the like, and the flag's."""
        turns = ("year", "week", "day") if self.has_time else ("year", "week")
        names = [f"{self.name}:{wave}({turn})" for turn in turns for wave in ("sin", "cos")]
        return (self.name, *names, *([f"{self.name}=?"] if self.flag_missing else []))

    def bind(self, table: Table, missing: Collection[str]) -> Write:
        """Writes `[n, 5]`, two more for times of the day, one more for the flag."""
        text = table.texts[self.name]
        absent = text.among(missing)
        dates = parse_dates(text.values, self.form)
        row = text.first(~(np.isfinite(dates.days) | absent))
        if row is not None:
            raise DataError(
                f"{table.place(row, self.name)}: expected a date written as {self.form}, found "
                f"{text.value(int(text.codes[row]))!r}; mend the cell, or add it to data.missing "
                "if it stands for a missing value"
            )
        features = self._features(dates)
        features[absent] = 0
        if self.flag_missing:
            features[absent, -1] = 1

        def write(numbers: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
            chosen = features[text.codes[start:stop]]
            refuse_overflow(table, self.name, start, np.zeros(len(chosen)), chosen[:, 0])
            out[...] = chosen

        return write

    def _features(self, dates: Dates) -> np.ndarray:
        """`[V, D]` float64."""
        days = np.nan_to_num(dates.days)
        whole = days.astype(np.int64).astype("datetime64[D]")
        begin = whole.astype("datetime64[Y]").astype("datetime64[D]")
        length = (whole.astype("datetime64[Y]") + np.timedelta64(1, "Y")).astype(
            "datetime64[D]"
        ) - begin
        fraction = dates.seconds / _DAY
        turns = [
            (whole - begin).astype(np.float64) / length.astype(np.float64),
            (days + 3) % 7 / 7,  # 1970 began on a Thursday
            *([fraction] if self.has_time else []),
        ]
        columns = [(days + fraction - self.mean) / self.deviation]
        for turn in turns:
            columns += [np.round(f(2 * np.pi * turn), _DECIMALS) for f in (np.sin, np.cos)]
        if self.flag_missing:
            columns.append(np.zeros(len(days)))
        return np.stack(columns, axis=1)


def _no_dates(table: Table, name: str, absent: np.ndarray) -> str:
    """What is said of a column that is declared to hold dates and does not."""
    text = table.texts[name]
    best = max(FORMS, key=lambda one: np.isfinite(parse_dates(text.values, one).days).sum())
    is_date = np.isfinite(parse_dates(text.values, best).days)
    row = text.first(~(is_date | absent))
    if row is None:
        return f"{table.path}: column {name!r}: every cell is missing; list it in data.drop"
    return (
        f"{table.place(row, name)}: {text.value(int(text.codes[row]))!r} is no date"
        + (f" written as {best}, as others are" if is_date.any() else "")
        + "; add it to data.missing if it stands for a missing value, or take the column out of "
        "data.dates"
    )
