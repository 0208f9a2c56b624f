"""Proportion: so many of so many, and how sure that is.

accuracy = Proportion(41, 50)
accuracy.value, accuracy.interval()                  # 0.82, (0.692..., 0.902...)
"""

from __future__ import annotations

import math
from typing import NamedTuple

_NORMAL_975 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: 95 % lie within as many deviations."""


class Proportion(NamedTuple):
    """How many of how many.

    Attributes:
        hits: from 0 to `total`.
        total: at least 1.
    """

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.total

    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of Wilson (1927), good near 0 and 1, and for few, too.

        >>> [round(end, 4) for end in Proportion(0, 10).interval()]
        [0.0, 0.2775]
        """
        squared = _NORMAL_975**2
        centre = self.hits + squared / 2
        half = _NORMAL_975 * math.sqrt(
            self.hits * (self.total - self.hits) / self.total + squared / 4
        )
        ends = (centre - half, centre + half)
        low, high = (min(max(end / (self.total + squared), 0.0), 1.0) for end in ends)
        return low, high
