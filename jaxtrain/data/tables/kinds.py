"""What kind of column one is, and why: one inference for a source and for a first look at a file.

    kind = kind_of(table, "price", missing=("?", ""))
    kind.kind, kind.why                                      # "number", "numbers from 1 to 9"

Kinds say what is there. What is made of it is somebody else's decision: a source refuses what is
not plain unless it was told what to do, a first look proposes it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxtrain.data.tables.dates import FORMS, date_form, parse_dates
from jaxtrain.data.tables.numbers import NumberForm, form_of, other_forms
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.text import Text

MOST_CATEGORIES = 1000
"""One-hot columns are dense: more than this is an identifier or a text, not a category."""

KindName = Literal[
    "number", "date", "category", "identifier", "text", "constant", "empty", "unclear"
]

_MANY = 20  # rows: fewer may all be different by chance
_LOOK = 200  # values
_LONG = 40  # letters of a mean cell: more are sentences


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What one column holds.

    Args:
        name: the column.
        kind: "identifier": each row has another value, or counts the rows. "text": too many
            different values for categories. "unclear": some cells are numbers or dates, and some
            are not.
        why: in words.
        form: of numbers that were read as text: how they are written.
        dates: of dates: the name of their form, or "ambiguous".
        odd: of an unclear column: the first value that is not as the others.
        distinct: how many different values there are; None for numbers.
    """

    name: str
    kind: KindName
    why: str
    form: NumberForm | None = None
    dates: str | None = None
    odd: str | None = None
    distinct: int | None = None


def kind_of(
    table: Table, name: str, *, missing: Collection[str], day_first: bool | None = None
) -> Kind:
    """The kind of a column of `table`.

    Args:
        table: what was read.
        name: the column.
        missing: what stands for a missing value.
        day_first: which order days and months have where slashes are between them.
    """
    if name in table.numbers:
        return _of_numbers(name, table.floats(name))
    text = table.texts[name]
    there = ~text.among(missing)
    form = NumberForm(table.dialect.decimal, table.dialect.thousands)
    return _of_text(name, text, there, form, day_first)


def _of_numbers(name: str, cells: np.ndarray) -> Kind:
    absent = np.isnan(cells)
    present = cells[~absent] if absent.any() else cells
    if not len(present):
        return Kind(name=name, kind="empty", why="every cell is missing")
    low, high = float(present.min()), float(present.max())
    if low == high and 1 < len(present) == len(cells):
        return Kind(name=name, kind="constant", why=f"{low:g} in every row")
    counts = cells[0] in (0, 1) and len(present) == len(cells) > _MANY
    if counts and np.array_equal(np.diff(cells), np.ones(len(cells) - 1)):
        return Kind(name=name, kind="identifier", why=f"counts the rows from {low:g} to {high:g}")
    return Kind(name=name, kind="number", why=f"numbers from {low:g} to {high:g}")


def _of_text(
    name: str, text: Text, there: np.ndarray, form: NumberForm, day_first: bool | None
) -> Kind:
    import pyarrow as pa

    values = text.values.filter(pa.array(there))
    counts = text.counts()[there]
    distinct, present = len(values), int(counts.sum())
    if not distinct:
        return Kind(name=name, kind="empty", why="every cell is missing")
    first = str(values[0].as_py())
    written = form_of(values, form)
    if written is not None:
        return Kind(name=name, kind="number", why=_numbers_why(written, first), form=written)
    days = date_form(values, day_first=day_first)
    if days is not None:
        why = f"dates such as {_shown(first)}"
        why += ", day and month in an order that no value shows" if days == "ambiguous" else ""
        return Kind(name=name, kind="date", why=why, dates=days)
    unclear = _unclear(name, values, counts, form)
    if unclear is not None:
        return unclear
    if distinct == 1 and 1 < present == len(text):
        return Kind(name=name, kind="constant", why=f"{_shown(first)} in every row", distinct=1)
    length = sum(len(value.as_py()) for value in values.slice(0, _LOOK)) / min(distinct, _LOOK)
    if distinct == present > _MANY:
        kind: KindName = "text" if length > _LONG else "identifier"
        why = f"all {distinct:,} values are different"
        return Kind(name=name, kind=kind, why=why, distinct=distinct)
    why = f"{distinct:,} different values in {present:,} rows"
    if distinct > MOST_CATEGORIES or (present > 2 * _MANY and distinct > present / 2):
        return Kind(name=name, kind="text", why=why, distinct=distinct)
    return Kind(name=name, kind="category", why=why, distinct=distinct)


def _numbers_why(form: NumberForm, first: str) -> str:
    parts = [f"the sign {form.sign}"] if form.sign else []
    parts += [f"groups of digits apart by {form.thousands!r}"] if form.thousands else []
    parts += ["a decimal comma"] if form.decimal == "," else []
    return f"numbers such as {_shown(first)}" + (f", with {' and '.join(parts)}" if parts else "")


def _unclear(name: str, values: object, counts: np.ndarray, form: NumberForm) -> Kind | None:
    """Where some cells are plain numbers, or half of them other numbers or dates, and some not."""
    plain = np.isfinite(form.parse(values))
    fits, what = plain, "a number"
    if not plain.any():
        first, total = values.slice(0, _LOOK), counts[:_LOOK].sum()  # type: ignore[attr-defined]
        tries = [(np.isfinite(o.parse(first)), "a number") for o in other_forms(first, form)]
        tries += [
            (np.isfinite(parse_dates(first, one).days), "a date")
            for one in FORMS
            if one != "yearmonthday"
        ]
        fits, what = max(tries, key=lambda one: int(counts[: len(one[0])][one[0]].sum()))
        if 2 * counts[: len(fits)][fits].sum() < total or fits.all():
            return None
    odd = str(values[int((~fits).argmax())].as_py())  # type: ignore[index]
    others = int(counts[: len(fits)][fits].sum())
    why = f"{_shown(odd)} is not {what}, but {others:,} other cells of this column are"
    return Kind(name=name, kind="unclear", why=why, odd=odd)


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:37]}...")
