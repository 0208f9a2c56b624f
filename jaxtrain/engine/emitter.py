"""Emitter: an object that fires events to the handlers attached to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxtrain.engine.events import Event, EventSet
from jaxtrain.engine.handlers import Handler, HandlerTable
from jaxtrain.errors import JaxtrainError

_BY = "raised by "


class Emitter:
    """Subscribing and firing.

    It does not hold the engine whose events these are, but is handed it: an engine that is dropped
    is freed at once, with all its arrays.

    Attributes:
        handlers: those attached.
        times_fired: how often each event was fired whose count the engine does not keep.
        running: the handler that is running just now.
        attributes: by event, the attribute of the engine's state that has its count.
    """

    def __init__(self) -> None:
        self.handlers = HandlerTable()
        self.times_fired: dict[str, int] = {}
        self.running: Handler | None = None
        self.attributes: dict[str, str] = {}
        self._firing = 0
        self._at_rest: list[Callable[[], None]] = []

    def has_event_handler(
        self, function: Callable[..., Any], event: Event | EventSet | None = None
    ) -> bool:
        """Whether `function` is attached, to `event` (any of a set) or, without one, at all."""
        return any(self._attached(function, event))

    def remove_event_handler(
        self, function: Callable[..., Any], event: Event | EventSet | None = None
    ) -> None:
        """Detach `function` from `event`, or from all.

        Raises:
            ValueError: it is not attached.
        """
        found = list(self._attached(function, event))
        if not found:
            where = "any event" if event is None else " or ".join(_names(event))
            raise ValueError(f"{function!r} is not attached to {where}")
        for handler in found:
            self.handlers.remove(handler)

    def _attached(
        self, function: Callable[..., Any], event: Event | EventSet | None
    ) -> Iterator[Handler]:
        names = None if event is None else _names(event)
        for handler in self.handlers:
            # Equal, not the same: `obj.log` is a new object each time it is looked up.
            if handler.function == function and (names is None or handler.event.name in names):
                yield handler

    def fire(self, engine: Any, event: Event, count: int | None, *event_args: Any) -> list[Any]:
        """Run the handlers of `event` and return what they returned.

        Args:
            engine: handed to the handlers.
            event: the event.
            count: how often it has come, this time included; None to count here.
            event_args: what the event itself adds.

        Raises:
            Exception: what a handler raises, with a note that names the handler and the event.
        """
        name = event.name
        if count is None:
            count = self.times_fired[name] = self.times_fired.get(name, 0) + 1
            if name in self.attributes:
                setattr(engine.state, self.attributes[name], count)
        results = []
        self._firing += 1
        before = self.running
        try:
            for handler in self.handlers.of(name):
                if handler.alive and handler.fires(engine, count):
                    self.running = handler
                    results.append(_called(handler, engine, event_args))
        finally:
            self._firing -= 1
            self.running = before
        while self._at_rest and not self._firing:
            self._at_rest.pop(0)()
        return results

    def restore(self, times_fired: Mapping[str, int], state: Any) -> None:
        """Take up counts, and show those of custom events in the attributes of `state`."""
        self.times_fired.update(times_fired)
        for name, attribute in self.attributes.items():
            setattr(state, attribute, self.times_fired.get(name, 0))

    def when_at_rest(self, action: Callable[[], None]) -> None:
        """Call `action` once all handlers of the event now firing have run."""
        self._at_rest.append(action)

    def forget_actions(self) -> None:
        """An exception is on its way out: what waited for the event's end does not come."""
        self._at_rest.clear()


def _called(handler: Handler, engine: Any, event_args: tuple[Any, ...]) -> Any:
    try:
        return handler(engine, *event_args)
    except JaxtrainError:
        raise  # says itself what is wrong
    except Exception as error:
        # The innermost one, where events are fired within events.
        if not any(note.startswith(_BY) for note in getattr(error, "__notes__", ())):
            error.add_note(f"{_BY}{_who(handler, engine)}, at {handler.event.name}")
        raise


def _who(handler: Handler, engine: Any) -> str:
    """The hook that it is a method of, by the name under which it is attached; or the function."""
    owner = getattr(handler.function, "__self__", None)
    hooks = getattr(engine, "hooks", {}).items()
    name = next((name for name, hook in hooks if hook is owner and owner is not None), None)
    return f"the handler {handler.name}" if name is None else f"the hook {name!r}"


def _names(event: Event | EventSet) -> list[str]:
    events = event.events if isinstance(event, EventSet) else (event,)
    return list(dict.fromkeys(one.name for one in events))
