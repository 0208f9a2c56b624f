"""Which iterations somebody observes, read off the handlers' filters.

    plan = Plan(handlers)
    plan.next_cut(250)            # Cut(300, (log,)): nobody looks before iteration 300 is over

All iterations up to the next cut can run as one dispatch, and nobody can tell the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtrain.engine.handlers import Handler, HandlerTable

# For each event of an iteration: it fires with this much added to the iterations that are
# completed, and the dispatch must have ended this much before or after that count.
_AHEAD = {
    "ITERATION_COMPLETED": (0, 0),  # seen after iteration c: end with c
    "ITERATION_STARTED": (1, -1),  # seen before iteration c: end with c - 1
    "GET_BATCH_STARTED": (0, 0),  # its count c is that of the iteration before: end with c
    "GET_BATCH_COMPLETED": (0, 0),
}


@dataclass(frozen=True)
class Cut:
    """The iteration with which a dispatch must end, and the handlers who want it to."""

    iteration: int
    by: tuple[Handler, ...]


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

    def _find(self, iteration: int) -> Cut | None:
        nearest: int | None = None
        by: list[Handler] = []
        for name, (counted_from, ends) in _AHEAD.items():
            for handler in self._handlers.of(name):
                fire = handler.event.filter.next_fire(iteration + counted_from)
                if fire is None:
                    continue
                end = fire + ends
                if nearest is None or end < nearest:
                    nearest, by = end, [handler]
                elif end == nearest:
                    by.append(handler)
        return None if nearest is None else Cut(nearest, tuple(by))
