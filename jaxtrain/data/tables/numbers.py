"""Numbers as people write them: `1234.5`, `1,234.5`, `1.234,5`, `5 %`, `$3`.

    form = NumberForm(thousands=",")
    form.parse(values)                                       # [V] float64, NaN where there is none
    form_of(values, NumberForm())                            # the one form that fits all of them

What Python reads besides (`1_000`, `nan`, `inf`, `0x1f`, digits of other scripts) is no number in
a table. Axis letters: V texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LOOK = 200  # values, before all of them are looked at
_SIGN = r"[%‰\p{Sc}]"  # of percent, or of a currency
_GROUPINGS = {
    ".": (",", " ", "'", "\u2019", "\u00a0", "\u202f"),
    ",": (".", " ", "\u00a0", "\u202f"),
}


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of a column are written.

    Args:
        decimal: "." or ",".
        thousands: what groups digits by three; "" where nothing does. Numbers without it are
            numbers all the same.
        sign: what stands before or behind each number, such as "%"; "" where nothing does.
    """

    decimal: str = "."
    thousands: str = ""
    sign: str = ""

    def parse(self, values: pa.StringArray) -> np.ndarray:
        """`[V]` float64; NaN where a text is no finite number of this form."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.sign:
            sign = re.escape(self.sign)
            bare = pc.replace_substring_regex(values, rf"^([+-]?)\s?{sign}\s?", r"\1")
            bare = pc.replace_substring_regex(bare, rf"\s?{sign}$", "")
            signed = pc.equal(pc.count_substring(values, self.sign), 1)
        else:
            bare, signed = values, None
        is_number = pc.match_substring_regex(bare, self._pattern())
        if signed is not None:
            is_number = pc.and_(is_number, signed)
        bare = pc.if_else(is_number, bare, pa.scalar(None, pa.string()))
        if self.thousands:
            bare = pc.replace_substring(bare, self.thousands, "")
        if self.decimal != ".":
            bare = pc.replace_substring(bare, self.decimal, ".")
        numbers = pc.cast(bare, pa.float64()).to_numpy(zero_copy_only=False)
        # What is too large for a float is no number that can be learnt from.
        return np.where(np.isinf(numbers), np.nan, numbers)

    def _pattern(self) -> str:
        point = re.escape(self.decimal)
        digits = "[0-9]+"
        if self.thousands:
            digits = rf"(?:[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|[0-9]+)"
        return rf"^[+-]?(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def is_plain_number(cell: str) -> bool:
    """Whether a cell is a number without any decoration.

    >>> [is_plain_number(cell) for cell in ("-1.5e3", "Private", "1_000", "1,000")]
    [True, False, False, False]
    """
    return _PLAIN.fullmatch(cell) is not None


def other_forms(values: pa.StringArray, form: NumberForm) -> Iterator[NumberForm]:
    """Forms besides `form` that the values may be written in.

    First those that `form` becomes with a sign, then with other groups of digits, then with the
    other decimal mark.
    """
    signs = ["", *_signs(values)]
    for decimal in (form.decimal, "," if form.decimal == "." else "."):
        same = decimal == form.decimal
        for thousands in (form.thousands if same else "", *_GROUPINGS[decimal]):
            for sign in signs:
                other = NumberForm(decimal, thousands, sign)
                if other != form and thousands != decimal:
                    yield other


def form_of(values: pa.StringArray, form: NumberForm) -> NumberForm | None:
    """The form that fits all values: `form`, or else the first other; None where none does."""
    first = values.slice(0, _LOOK)
    for one in (form, *other_forms(first, form)):
        if np.isfinite(one.parse(first)).all() and np.isfinite(one.parse(values)).all():
            return one if len(values) else None
    return None


def _signs(values: pa.StringArray) -> list[str]:
    """The signs that the values have beside their numbers, at most a few."""
    import pyarrow.compute as pc

    found = pc.extract_regex(values, rf"(?P<sign>{_SIGN})")
    signs = pc.unique(pc.struct_field(found, "sign")).to_pylist()
    return [sign for sign in signs if sign][:3]
