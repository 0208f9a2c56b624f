"""A curve in a few characters.

    sparkline([0.9, 0.5, 0.3, 0.2], width=4)                  # "█▄▂▁"
    sparkline(curve, width=16, low=0.0, high=1.0)             # on a scale that others have, too

Where the terminal's encoding lacks the blocks, ASCII has to do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.,-~=*#"


def sparkline(
    values: Sequence[float], *, width: int, low: float | None = None, high: float | None = None
) -> str:
    """One character a value, or the mean of several where there are more of them than room.

    Args:
        values: finite numbers, in their order.
        width: at most so many characters.
        low: what the lowest block stands for; by default the least value.
        high: what the highest stands for; by default the largest value.

    >>> sparkline([0.0, 1.0, 2.0, 3.0], width=2, low=0.0, high=7.0)
    '▁▃'
    >>> sparkline([5.0, 5.0], width=8), sparkline([], width=8)
    ('▁▁', '')
    """
    if not values:
        return ""
    low = min(values) if low is None else low
    high = max(values) if high is None else high
    blocks = _blocks()
    # Divided first: the span of the largest floats is infinite.
    span = high / 2 - low / 2
    heights = [(value / 2 - low / 2) / span if span else 0.0 for value in values]
    return "".join(blocks[round(height * (len(blocks) - 1))] for height in _means(heights, width))


def _means(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    bounds = [at * len(values) // width for at in range(width + 1)]
    parts = [values[a:b] for a, b in pairwise(bounds)]
    return [sum(part) / len(part) for part in parts]


def _blocks() -> str:
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _BLOCKS
