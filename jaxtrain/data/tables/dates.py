"""Dates as people write them.

    form = date_form(values, day_first=None)                 # the one that fits all values
    dates = parse_dates(values, form)                        # [V] days since 1970, NaN where none
    dates.days, dates.seconds

`03/04/2024` is the third of April or the fourth of March: where no other value of the column shows
which, somebody has to say it. Years have four digits. Axis letters: V texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = 86400  # seconds
_LOOK = 200  # values, before all of them are looked at
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_Y, _M, _D, _NAME = r"(?P<y>\d{4})", r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})", r"(?P<n>[A-Za-z]{3,9})"
_TIME = (
    r"(?:(?:T| +)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2}(?:\.\d{1,9})?))?"
    r"(?: ?(?P<p>[AaPp][Mm]))?(?: ?(?:Z|UTC|(?P<zs>[+-])(?P<zh>\d{2}):?(?P<zm>\d{2})))?)?$"
)

FORMS = {
    "year-month-day": rf"^{_Y}(?:[-/.]|\. |년 ?){_M}(?:[-/.]|\. |월 ?){_D}(?:\.|일)?",
    "day.month.year": rf"^{_D}\. ?{_M}\. ?{_Y}",
    "day/month/year": rf"^{_D}[-/]{_M}[-/]{_Y}",
    "month/day/year": rf"^{_M}[-/]{_D}[-/]{_Y}",
    "day month-name year": rf"^{_D}[- ]{_NAME}\.?[-, ]+{_Y}",
    "month-name day, year": rf"^{_NAME}\.?[- ]{_D},? {_Y}",
    "yearmonthday": r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})",
}
"""How days are written, by name; a time may follow each."""

_ORDERS = ("day/month/year", "month/day/year")


@dataclass(frozen=True, eq=False)
class Dates:
    """Moments.

    Args:
        days: `[V]` float64, whole days since 1970-01-01, in UTC where a time zone is given; NaN
            where a text is no date.
        seconds: `[V]` float64 since midnight; 0 where there is no time.
        has_time: whether any of them has a time of the day.
    """

    days: np.ndarray
    seconds: np.ndarray
    has_time: bool


def date_form(
    values: pa.StringArray, *, day_first: bool | None, declared: bool = False
) -> str | None:
    """The form that fits all values; None where none does.

    Args:
        values: V texts, none of them missing.
        day_first: which order days and months have where slashes are between them.
        declared: whether it is known that they are dates; else eight digits are a number.

    Returns:
        Its name in `FORMS`; "ambiguous" where days and months can't be told apart.
    """
    fitting, first = {}, values.slice(0, _LOOK)
    for name in FORMS if len(values) else ():
        if name == "yearmonthday" and not declared:
            continue
        if np.isfinite(parse_dates(first, name).days).all():
            parsed = parse_dates(values, name)
            if np.isfinite(parsed.days).all():
                fitting[name] = parsed
    if day_first is not None:  # it is not overruled by a cell that does not fit
        fitting.pop(_ORDERS[1 if day_first else 0], None)
    if all(name in fitting for name in _ORDERS):
        one, other = (fitting[name].days for name in _ORDERS)
        return _ORDERS[0] if np.array_equal(one, other) else "ambiguous"
    return next(iter(fitting), None)


def parse_dates(values: pa.StringArray, form: str) -> Dates:
    """The dates of the texts that are written in `form`."""
    import pyarrow.compute as pc

    found = pc.extract_regex(values, FORMS[form] + _TIME)
    is_date = found.is_valid().to_numpy(zero_copy_only=False)
    year, day = _number(found, "y"), _number(found, "d")
    month = _month(found) if "(?P<n>" in FORMS[form] else _number(found, "m")
    first = np.where(is_date & (year > 0) & (month >= 1) & (month <= 12), year * 12 + month - 1, 0)
    months = (first - 1970 * 12).astype(np.int64).astype("datetime64[M]")
    begin = months.astype("datetime64[D]").astype(np.int64)
    length = (months + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64) - begin
    is_date &= (first > 0) & (day >= 1) & (day <= length)
    hour, minute, second = (_number(found, name) for name in "HMS")
    is_am, is_pm = _is(found, "p", "am"), _is(found, "p", "pm")
    is_date &= (hour < 24) & (minute < 60) & (second < 61)
    is_date &= ~(is_am | is_pm) | ((hour >= 1) & (hour <= 12))
    hour = np.where(is_am | is_pm, hour % 12, hour) + 12 * is_pm
    offset = _number(found, "zh") * 3600 + _number(found, "zm") * 60
    seconds = hour * 3600 + minute * 60 + second - np.where(_is(found, "zs", "-"), -offset, offset)
    days = begin + day - 1 + np.floor(seconds / _DAY)
    return Dates(
        np.where(is_date, days, np.nan),
        np.where(is_date, seconds % _DAY, 0.0),
        bool((is_date & ~_is(found, "H", "")).any()),
    )


def _number(found: pa.StructArray, name: str) -> np.ndarray:
    """`[V]` float64 of one part; 0 where it is not there."""
    import pyarrow.compute as pc

    text = pc.replace_substring_regex(found.field(name), "^$", "0")
    values: np.ndarray = pc.cast(pc.fill_null(text, "0"), "float64").to_numpy(zero_copy_only=False)
    return values


def _is(found: pa.StructArray, name: str, text: str) -> np.ndarray:
    """`[V]` bool, where one part is `text` in lower case."""
    import pyarrow.compute as pc

    part = pc.fill_null(pc.utf8_lower(found.field(name)), "")
    which: np.ndarray = pc.equal(part, text).to_numpy(zero_copy_only=False)
    return which


def _month(found: pa.StructArray) -> np.ndarray:
    """`[V]` float64, months from 1 by the first letters of their names; 0 where it is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    short = pc.utf8_lower(pc.utf8_slice_codeunits(found.field("n"), 0, 3))
    place = pc.fill_null(pc.index_in(short, pa.array(_MONTHS)), -1)
    return place.to_numpy(zero_copy_only=False) + 1.0
