"""Hooks by name: what the `hooks` section of a config may ask for.

    hooks:
      early_stopping: {monitor: val/loss, patience: 5}
      time_limit: {limit: 2h}

A hook is an object with `attach(engine)`. One that must survive a restart also has `state()`, a
dict that JSON can hold, and `restore(state)`.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtrain.registry import Registry


@runtime_checkable
class Hook(Protocol):
    """What can be attached to an engine."""

    def attach(self, engine: Any) -> None:
        """Subscribe to the engine's events."""


HOOKS = Registry("hook", returns=Hook)

METRICS = "metrics"
"""What a handler of EPOCH_COMPLETED `provides` if it adds to `engine.state.metrics`, and `needs` if
it reads them."""
