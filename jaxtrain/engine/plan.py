"""Which iterations somebody observes, read off the handlers' filters.

    plan = Plan(handlers)
    plan.next_cut(250)            # Cut(300, (log,)): nobody looks before iteration 300 is over

All iterations up to the next cut can run as one dispatch, and nobody can tell the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtrain.engine.handlers import Handler, HandlerTable

# For each event of an iteration: what its count is before iteration i + 1, beyond i; and whether
# it comes before the step. One that comes before iteration c wants the dispatch before it to end,
# and its own to be no longer than c: what it stops must not run.
_EVENTS = {
    "GET_BATCH_STARTED": (1, True),
    "GET_BATCH_COMPLETED": (1, True),
    "ITERATION_STARTED": (1, True),
    "ITERATION_COMPLETED": (1, False),
}


@dataclass(frozen=True)
class Cut:
    """The iteration with which a dispatch must end, and the handlers who want it to."""

    iteration: int
    by: tuple[Handler, ...]


@dataclass(frozen=True)
class Planned:
    """A dispatch to come: its first iteration, its length, and who makes it end there."""

    first: int
    length: int
    by: tuple[str, ...]


class Plan:
    """Where dispatches must end.

    Args:
        handlers: the engine's; attaching or removing one changes the plan from then on.
    """

    def __init__(self, handlers: HandlerTable) -> None:
        self._handlers = handlers
        self._known: Cut | None = None
        self._asked_at = -1
        self._version = -1

    def next_cut(self, iteration: int) -> Cut | None:
        """The first cut after `iteration`, the number of iterations completed, or None."""
        known = self._known
        valid = self._version == self._handlers.version and iteration >= self._asked_at
        if valid and (known is None or iteration < known.iteration):
            return known
        self._known = self._find(iteration)
        self._version, self._asked_at = self._handlers.version, iteration
        return self._known

    def dispatches(
        self, start: int, stop: int, *, epoch_length: int | None = None
    ) -> Iterator[Planned]:
        """The dispatches between two iterations, as far as handlers and epochs decide it.

        Args:
            start: iterations completed before the first.
            stop: iterations completed after the last.
            epoch_length: iterations an epoch, each of which ends a dispatch.
        """
        at = start
        while at < stop:
            ends = (
                stop if epoch_length is None else min(stop, (at // epoch_length + 1) * epoch_length)
            )
            by: tuple[str, ...] = () if ends == stop else ("the epoch's end",)
            cut = self.next_cut(at)
            if cut is not None and cut.iteration < ends:
                ends, by = cut.iteration, tuple(handler.name for handler in cut.by)
            yield Planned(at + 1, ends - at, by)
            at = ends

    def observed(self) -> list[Handler]:
        """The handlers of the events of iterations."""
        return [handler for name in _EVENTS for handler in self._handlers.of(name)]

    def _find(self, iteration: int) -> Cut | None:
        nearest: int | None = None
        by: list[Handler] = []
        for name, (ahead, before_step) in _EVENTS.items():
            for handler in self._handlers.of(name):
                coming = iteration + ahead
                fire = handler.event.filter.next_fire(coming - 1)
                if fire is None:
                    continue
                end = iteration + 1 + (fire - coming)
                if before_step and fire > coming:
                    end -= 1
                if nearest is None or end < nearest:
                    nearest, by = end, [handler]
                elif end == nearest:
                    by.append(handler)
        return None if nearest is None else Cut(nearest, tuple(by))
