"""Filters say at which counts of an event a handler runs. They are data, not closures.

    Every(100).fires(200)           # True
    Every(100).next_fire(200)       # 300: the first count after 200 that fires
    Between(after=10, before=20)    # counts 11 to 19

Because a filter can be asked *when it fires next*, the engine knows which iterations nobody
observes. A `Predicate` can't be asked: it is looked at on every count.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Filter(Protocol):
    """What an event's filter must be able to say."""

    def fires(self, count: int) -> bool:
        """Whether a handler runs at this `count` of its event (the first is 1)."""

    def next_fire(self, count: int) -> int | None:
        """The first count after `count` at which it may run; None if there is none left."""


@dataclass(frozen=True)
class Always:
    """Every count."""

    def fires(self, count: int) -> bool:
        """True."""
        return True

    def next_fire(self, count: int) -> int:
        """The next count."""
        return count + 1


@dataclass(frozen=True)
class Every:
    """The multiples of `n` that lie strictly between `after` and `before`."""

    n: int
    after: int = 0
    before: float = math.inf

    def fires(self, count: int) -> bool:
        """Whether `count` is such a multiple."""
        return count % self.n == 0 and self.after < count < self.before

    def next_fire(self, count: int) -> int | None:
        """The next such multiple."""
        following = (max(count, self.after) // self.n + 1) * self.n
        return following if following < self.before else None


@dataclass(frozen=True)
class Between:
    """All counts strictly between `after` and `before`."""

    after: int = 0
    before: float = math.inf

    def fires(self, count: int) -> bool:
        """Whether `count` lies between the two."""
        return self.after < count < self.before

    def next_fire(self, count: int) -> int | None:
        """The next count between the two."""
        following = max(count, self.after) + 1
        return following if following < self.before else None


@dataclass(frozen=True)
class Once:
    """The given counts, and no others."""

    counts: tuple[int, ...]

    def fires(self, count: int) -> bool:
        """Whether `count` is one of them."""
        return count in self.counts

    def next_fire(self, count: int) -> int | None:
        """The smallest of them after `count`."""
        return min((c for c in self.counts if c > count), default=None)


@dataclass(frozen=True)
class EverySeconds:
    """About every so many seconds of wall-clock time, at whatever count that happens to be.

    It is looked at between two dispatches, and asks for none to end: so it never costs speed, and
    is late by one dispatch at most.
    """

    seconds: float

    def fires(self, count: int) -> bool:
        """True: the engine asks the clock itself, since a filter keeps no time."""
        return True

    def next_fire(self, count: int) -> None:
        """None: no count is wanted more than another."""
        return


@dataclass(frozen=True)
class Predicate:
    """Counts for which `function(engine, count)` is true. It is asked on every count."""

    function: Callable[[Any, int], bool]

    def fires(self, count: int) -> bool:
        """True: the engine asks `function` itself, since only it can hand itself over."""
        return True

    def next_fire(self, count: int) -> int:
        """The next count: nobody can know what the function will say."""
        return count + 1


def make_filter(
    *,
    every: int | None = None,
    once: int | tuple[int, ...] | list[int] | None = None,
    before: int | None = None,
    after: int | None = None,
    every_seconds: float | None = None,
    event_filter: Callable[[Any, int], bool] | None = None,
) -> Filter:
    """The filter that an event's keyword arguments describe.

    `before` and `after` go together with each other and with `every`; the others stand alone.

    Raises:
        ValueError: where they don't fit together, or a count is not a positive integer.
    """
    given = {
        "every": every,
        "once": once,
        "before": before,
        "after": after,
        "every_seconds": every_seconds,
        "event_filter": event_filter,
    }
    named = {name for name, value in given.items() if value is not None}
    if not named:
        raise ValueError(f"expected one of {', '.join(given)}")
    alone = named & {"once", "every_seconds", "event_filter"}
    if len(named) > 1 and alone:
        raise ValueError(f"{min(alone)} stands alone, found {', '.join(sorted(named))}")
    if every_seconds is not None:
        if isinstance(every_seconds, bool) or not every_seconds > 0:
            raise ValueError(f"every_seconds: expected a number above 0, found {every_seconds!r}")
        return EverySeconds(float(every_seconds))
    if event_filter is not None:
        if not callable(event_filter):
            raise ValueError(
                f"event_filter: expected (engine, count) -> bool, got {event_filter!r}"
            )
        return Predicate(event_filter)
    if once is not None:
        counts = tuple(once) if isinstance(once, tuple | list) else (once,)
        if not counts:
            raise ValueError("once: expected at least one count, found none")
        return Once(tuple(sorted(_positive("once", count) for count in counts)))
    low = 0 if after is None else _positive("after", after, least=0)
    high = math.inf if before is None else _positive("before", before, least=0)
    if every is not None:
        return Every(_positive("every", every), low, high)
    return Between(low, high)


def _positive(name: str, value: Any, *, least: int = 1) -> int:
    try:  # numpy's integers, too
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, found {value!r}")
    return number
