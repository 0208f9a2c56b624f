"""Successive halving: at a rung, the best of those who have come so far go on.

    rungs(first=3, factor=3, epochs=30)                       # [3, 9, 27, 30]
    survivors([0.5, 0.2, 0.9], seen=[], factor=3, mode="min")  # [1]

With one batch this is successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943). With
several, a batch is measured against all that have ever reached the rung, as ASHA does (Li et al.
2020, arXiv:1810.05934): so nobody waits for members that are yet to be asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtrain.direction import Direction, rank


def rungs(*, first: int, factor: int, epochs: int) -> list[int]:
    """Behind how many epochs it is seen who goes on; the last is the end.

    >>> rungs(first=3, factor=3, epochs=30)
    [3, 9, 27, 30]
    """
    found = []
    while first < epochs:
        found.append(first)
        first *= factor
    return [*found, epochs]


def survivors(
    values: Sequence[float | None],
    *,
    seen: Sequence[float | None],
    factor: int,
    mode: Direction,
) -> list[int]:
    """Who goes on, by their places among `values`; one at least, where one has a value.

    Args:
        values: of those who stand at the rung now; None or NaN for who has failed.
        seen: of all that stood there before.
        factor: one in so many goes on.
        mode: "min" where smaller is better.

    Ties are decided by the place.
    """
    known = [place for place, value in enumerate(values) if _is_sound(value)]
    if not known:
        return []
    ranks = {place: rank(values[place], mode) for place in known}
    before = [rank(value, mode) for value in seen if _is_sound(value)]
    ranked = sorted(known, key=lambda place: (ranks[place], place))
    room = max(1, (len(seen) + len(values)) // factor)
    found = []
    for better, place in enumerate(ranked):
        ahead = sum(one <= ranks[place] for one in before)
        if better + ahead < room:
            found.append(place)
    return sorted(found or ([ranked[0]] if not seen else []))


def _is_sound(value: float | None) -> bool:
    return value is not None and not math.isnan(value)
