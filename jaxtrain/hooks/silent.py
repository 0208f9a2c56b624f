"""Hooks that tell, in the processes that have nobody to tell.

    trainer.attach(hook if is_first() or not only_tells(hook) else Silent(hook))

Of several processes of a run one writes. The others need the hook all the same: where a handler
observes an iteration, a dispatch ends, and all processes must launch the same ones. So it is
attached, and its handlers do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jaxtrain.engine import Engine, Event, EventSet


def only_tells(hook: Any) -> bool:
    """Whether a hook writes files or prints, and nothing else: it says `writes`, or `tells`."""
    return bool(getattr(hook, "tells", False) or getattr(hook, "writes", ()))


class Silent:
    """Stands for a hook, on the same events.

    Args:
        hook: which is never called, but to subscribe.
    """

    def __init__(self, hook: Any) -> None:
        self.hook = hook

    def attach(self, engine: Engine) -> None:
        """Subscribe to what the hook does."""
        self.hook.attach(_Deaf(engine))


class _Deaf:
    """An engine whose handlers are never called; all else is the engine's own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def attach_handler(
        self,
        event: Event | EventSet,
        function: Any,
        *args: Any,
        priority: float = 0,
        needs: Iterable[str] = (),
        provides: Iterable[str] = (),
        **kwargs: Any,
    ) -> Any:
        return self._engine.attach_handler(
            event, _nothing, priority=priority, needs=needs, provides=provides
        )


def _nothing(*_: object) -> None:
    """What a process has to tell that tells nothing."""
