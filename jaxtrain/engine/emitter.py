"""Emitter: an object that fires events to the handlers attached to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jaxtrain.engine.events import Event, EventSet
from jaxtrain.engine.handlers import Handler, HandlerTable, RemovableHandle


class Emitter:
    """Subscribing and firing; what an event's count is, the Engine knows."""

    state: Any

    def __init__(self) -> None:
        self._handlers = HandlerTable()
        self._times_fired: dict[str, int] = {}
        self._firing = 0
        self._running: Handler | None = None
        self._attributes: dict[str, str] = {}
        self._at_rest: list[Callable[[], None]] = []

    def on(self, event: Event | EventSet, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Decorator form of `attach_handler`; the function stays as it is."""

        def attach(function: Callable[..., Any]) -> Callable[..., Any]:
            self.attach_handler(event, function, *args, **kwargs)
            return function

        return attach

    def attach_handler(
        self,
        event: Event | EventSet,
        function: Callable[..., Any],
        *args: Any,
        priority: float = 0,
        needs: Iterable[str] = (),
        provides: Iterable[str] = (),
        **kwargs: Any,
    ) -> RemovableHandle:
        """Call `function(engine, *args, **kwargs)` on an event.

        A handler attached or removed while its event fires: the new one waits for the next firing,
        the removed one does not run any more. Handlers of EXCEPTION_RAISED get
        `(engine, exception, *args)`; the exception is raised again unless one returns True.

        Args:
            event: one event, or several joined by `|`.
            function: may leave out the `engine` parameter.
            args: passed on to the function.
            priority: on one event, the higher runs first.
            needs: names that other handlers of the event provide; those run before, whatever the
                priorities.
            provides: names that this one provides.
            kwargs: passed on to the function.

        Returns:
            A handle with `remove()`, which is also a context manager.

        Raises:
            TypeError: the function can't be called like that.
            ValueError: the handlers would wait for each other.
        """
        return self._handlers.attach(
            event,
            function,
            args,
            kwargs,
            priority=priority,
            needs=needs,
            provides=provides,
        )

    def has_event_handler(self, function: Callable[..., Any], event: Event | None = None) -> bool:
        """Whether `function` is attached, to `event` or, without one, to any."""
        return any(self._attached(function, event))

    def remove_event_handler(
        self, function: Callable[..., Any], event: Event | None = None
    ) -> None:
        """Detach `function` from `event`, or from all.

        Raises:
            ValueError: it is not attached.
        """
        found = list(self._attached(function, event))
        if not found:
            where = "any event" if event is None else event.name
            raise ValueError(f"{function!r} is not attached to {where}")
        for handler in found:
            self._handlers.remove(handler)

    def _attached(self, function: Callable[..., Any], event: Event | None) -> Iterator[Handler]:
        for handler in self._handlers:
            if handler.function is function and (event is None or event.name == handler.event.name):
                yield handler

    @property
    def provided(self) -> set[str]:
        """All that attached handlers say they provide."""
        return {name for handler in self._handlers for name in handler.provides}

    def register_events(self, *events: Event, event_to_attr: Mapping[Event, str]) -> None:
        """Keep the count of custom events in attributes of `state`, from 0.

        Any `Event` can be fired without this; its filters count how often it was fired.
        """
        for event in events:
            attribute = event_to_attr[event]
            self._attributes[event.name] = attribute
            setattr(self.state, attribute, 0)

    def fire(self, event: Event, *event_args: Any) -> list[Any]:
        """Run the handlers of `event` and return what they returned."""
        name = event.name
        count = self._count(name)
        results = []
        self._firing += 1
        try:
            for handler in self._handlers.of(name):
                if handler.alive and handler.fires(self, count):
                    self._running = handler
                    results.append(handler(self, *event_args))
        finally:
            self._firing -= 1
            self._running = None
        while self._at_rest and not self._firing:
            self._at_rest.pop(0)()
        return results

    def when_at_rest(self, action: Callable[[], None]) -> None:
        """Call `action` once all handlers of the event now firing have run.

        A checkpoint taken there holds what every one of them has made of the event, so that a
        resumed run need not fire it again.
        """
        self._at_rest.append(action)

    def _count(self, name: str) -> int:
        """How often an event has come, this time included."""
        self._times_fired[name] = self._times_fired.get(name, 0) + 1
        if name in self._attributes:
            setattr(self.state, self._attributes[name], self._times_fired[name])
        return self._times_fired[name]
