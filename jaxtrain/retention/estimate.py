"""Estimate: a figure, and the ends of its 95 % interval.

Estimate(0.5, 0.4, 0.6).text(scale=100)             # "50.0 [40.0, 60.0]"
"""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

from jaxtrain.errors import DataError

_LARGEST = sys.float_info.max


class Estimate(NamedTuple):
    """A figure with its interval.

    Attributes:
        value: what was measured.
        low: where the 95 % interval begins, never above `value`; -inf where nothing is known.
        high: where it ends, never below `value`; inf where nothing is known.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> list[float | None]:
        """`[value, low, high]`; an end that is not known is null."""
        return [self.value, *(end if math.isfinite(end) else None for end in self[1:])]

    @classmethod
    def from_json(cls, record: Any) -> Estimate:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        if isinstance(record, list) and len(record) == 3:
            value, low, high = record
            low = -math.inf if low is None else low
            high = math.inf if high is None else high
            numbers = all(
                isinstance(each, int | float) and not isinstance(each, bool)
                for each in (value, low, high)
            )
            # As floats: a whole number may be beyond them.
            if numbers and -_LARGEST <= value <= _LARGEST and low <= value <= high:
                return cls(float(value), float(low), float(high))
        raise DataError(f"a figure: expected [value, low, high], found {record!r:.80}")

    def text(self, *, scale: float = 1.0, digits: int = 1, sign: bool = False) -> str:
        """For people.

        >>> Estimate(0.5, 0.4, 0.625).text(scale=100)
        '50.0 [40.0, 62.5]'
        >>> Estimate(1.0, -math.inf, math.inf).text(digits=2, sign=True)
        '+1.00 [?, ?]'
        """
        value, low, high = (
            f"{scale * each:{'+' if sign else ''}.{digits}f}" if math.isfinite(each) else "?"
            for each in self
        )
        return f"{value} [{low}, {high}]"
