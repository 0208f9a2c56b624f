"""Which handlers run on an event, and in which order.

On one event: what a handler `needs` is provided first; among those free to run, the higher
`priority` first; among equals, the one attached first.
"""

from __future__ import annotations

import heapq
import inspect
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from jaxtrain.engine.events import Event, EventSet
from jaxtrain.engine.filters import EverySeconds, Predicate

# How many arguments an event itself adds after the engine: the exception; the shapes.
EVENT_ARGS = {"EXCEPTION_RAISED": 1, "RECOMPILED": 1}


@dataclass(eq=False)
class Handler:
    """A function subscribed to one event. `alive` is False once it was removed."""

    event: Event
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    priority: float = 0
    needs: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()
    index: int = 0
    takes_engine: bool = True
    alive: bool = True
    # For EverySeconds alone. Looked up when called, so that a test can set the clock.
    last_fired: float = field(default_factory=lambda: time.monotonic())

    def fires(self, engine: Any, count: int) -> bool:
        """Whether it runs at this count of its event."""
        chosen = self.event.filter
        if isinstance(chosen, Predicate):
            return bool(chosen.function(engine, count))
        if isinstance(chosen, EverySeconds):
            now = time.monotonic()
            if now - self.last_fired < chosen.seconds:
                return False
            self.last_fired = now
        return chosen.fires(count)

    def __call__(self, engine: Any, *event_args: Any) -> Any:
        """Run it."""
        first = (engine,) if self.takes_engine else ()
        return self.function(*first, *event_args, *self.args, **self.kwargs)

    @property
    def name(self) -> str:
        """What messages call it."""
        return getattr(self.function, "__qualname__", type(self.function).__qualname__)


@dataclass(frozen=True)
class RemovableHandle:
    """What `attach_handler` returns: `remove()`, or leaving its `with` block, detaches."""

    table: HandlerTable
    handlers: tuple[Handler, ...]

    def remove(self) -> None:
        """Detach. A second call does nothing."""
        for handler in self.handlers:
            self.table.remove(handler)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class HandlerTable:
    """The handlers of one engine, in running order, by event name."""

    def __init__(self) -> None:
        self._ordered: dict[str, tuple[Handler, ...]] = {}
        self._attached = 0
        self.version = 0  # goes up with every change, so that a plan knows it is out of date

    def add(
        self,
        event: Event | EventSet,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        priority: float,
        needs: Iterable[str],
        provides: Iterable[str],
    ) -> RemovableHandle:
        """Subscribe `function`.

        Args:
            event: one event, or several joined by `|`.
            function: called as `function(engine, *args, **kwargs)`, or without the engine where
                its signature has no room for it.
            args: further positional arguments of the function.
            kwargs: further keyword arguments of the function.
            priority: the higher runs first.
            needs: names that other handlers of this event provide; they run before.
            provides: names that this handler provides.

        Raises:
            TypeError: where the function can't be called with these arguments.
            ValueError: where needs and provides form a circle. Nothing was attached then.
        """
        events = event.events if isinstance(event, EventSet) else (event,)
        added = []
        ordered = dict(self._ordered)
        for one in events:
            takes_engine = _takes_engine(function, args, kwargs, EVENT_ARGS.get(one.name, 0))
            self._attached += 1
            handler = Handler(
                one,
                function,
                args,
                kwargs,
                priority,
                frozenset(needs),
                frozenset(provides),
                self._attached,
                takes_engine,
            )
            ordered[one.name] = in_order((*ordered.get(one.name, ()), handler))
            added.append(handler)
        self._ordered = ordered
        self.version += 1
        return RemovableHandle(self, tuple(added))

    def remove(self, handler: Handler) -> None:
        """Detach; takes effect at once, even while its event is firing."""
        handler.alive = False
        self.version += 1
        name = handler.event.name
        # Sorted anew: the handlers that waited for this one may come earlier now.
        self._ordered[name] = in_order(h for h in self.of(name) if h is not handler)

    def of(self, event_name: str) -> tuple[Handler, ...]:
        """The handlers of an event, in running order."""
        return self._ordered.get(event_name, ())

    def __iter__(self) -> Any:
        return (handler for handlers in self._ordered.values() for handler in handlers)


def in_order(handlers: Iterable[Handler]) -> tuple[Handler, ...]:
    """Sort by needs and provides, then priority (higher first), then attachment.

    Raises:
        ValueError: naming the circle, where there is one.
    """
    waiting = list(handlers)
    before: dict[int, set[int]] = {
        i: {j for j, other in enumerate(waiting) if j != i and handler.needs & other.provides}
        for i, handler in enumerate(waiting)
    }
    free = [(-h.priority, h.index, i) for i, h in enumerate(waiting) if not before[i]]
    heapq.heapify(free)
    result: list[Handler] = []
    while free:
        *_, done = heapq.heappop(free)
        result.append(waiting[done])
        del before[done]
        for i, earlier in before.items():
            if done in earlier:
                earlier.remove(done)
                if not earlier:
                    heapq.heappush(free, (-waiting[i].priority, waiting[i].index, i))
    if before:
        raise ValueError(_circle(waiting, before))
    return tuple(result)


def _circle(handlers: list[Handler], before: dict[int, set[int]]) -> str:
    """Walk back along what is waited for until a handler comes up again."""
    path = [next(iter(before))]
    while True:
        following = min(before[path[-1]])
        if following in path:
            circle = [*path[path.index(following) :], following]
            names = " needs ".join(handlers[i].name for i in circle)
            return f"handlers of {handlers[following].event.name} wait for each other: {names}"
        path.append(following)


def _takes_engine(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], event_args: int
) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:  # some builtins have none; they are then called as documented
        return True
    for extra in (1, 0):
        try:
            signature.bind(*[None] * (extra + event_args), *args, **kwargs)
        except TypeError:
            continue
        return bool(extra)
    given = ["engine", *["event argument"] * event_args, *map(repr, args)]
    given += [f"{key}={value!r}" for key, value in kwargs.items()]
    raise TypeError(
        f"handler {getattr(function, '__qualname__', function)}{signature} can't be called with "
        f"({', '.join(given)})"
    )
