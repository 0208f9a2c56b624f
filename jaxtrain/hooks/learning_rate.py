"""Puts the learning rate among the metrics of an epoch, and so into every log.

    trainer.attach(LearningRate())
    trainer.run(loader)
    trainer.state.metrics["learning_rate"]     # that of the epoch's last step

It is read from the step's output, once an epoch.
"""

from __future__ import annotations

import reprlib
from typing import Any

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.rows import is_figure


@HOOKS.register("learning_rate")
class LearningRate:
    """Records the learning rate of an epoch's last step as `learning_rate`.

    Raises:
        ConfigError: after the first epoch, where the step's output has no `learning_rate`.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._restored: float | None = None

    def attach(self, engine: Engine) -> None:
        """Subscribe, before everything that reads metrics."""
        self._engine = engine
        engine.attach_handler(
            Events.EPOCH_COMPLETED, self._record, provides=(EPOCH_METRICS, "learning_rate")
        )

    def state(self) -> dict[str, Any]:
        """What must survive a restart: a run that was saved between the last step of an epoch and
        its end has no step output to read when it goes on.
        """
        return {"learning_rate": self._now()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` returned.

        Raises:
            ValueError: it is not that.
        """
        rate = state["learning_rate"]
        if rate is not None and not is_figure(rate):
            raise ValueError(f"learning_rate: expected a number, found {reprlib.repr(rate)}")
        self._restored = rate

    def _now(self) -> float | None:
        scalars = self._engine.scalars() if self._engine is not None else {}
        return float(scalars["learning_rate"]) if "learning_rate" in scalars else self._restored

    def _record(self, engine: Engine) -> None:
        rate = self._now()
        if rate is None:
            raise ConfigError(
                "hook learning_rate: the step's output has no scalar 'learning_rate' "
                f"(it has: {', '.join(sorted(engine.scalars())) or 'none'}); switch the hook off, "
                "or return one from the step"
            )
        engine.state.metrics["learning_rate"] = rate
