"""Runs an evaluator over a second loader between the epochs of a training.

    evaluator = Engine(eval_step, state)
    evaluator.add_metrics({"loss": Loss(), "accuracy": Accuracy()})
    trainer.attach(Validation(evaluator, validation_loader))
    trainer.run(loader)
    trainer.state.metrics["val/loss"]

The evaluator is handed the trainer's TrainState each time. A validation that takes long does not
keep the trainer from stopping: it is left, and the continued run does it anew.
"""

from __future__ import annotations

from typing import Any

from jaxtrain.engine import Engine, EngineState, Events
from jaxtrain.errors import Interrupted
from jaxtrain.hooks.registry import EPOCH_METRICS

_FIRST = 1e6
# Between any two dispatches: all processes of a run look at the same places.
_LOOK_SECONDS = 1e-9


class Validation:
    """Validates after the first epoch, every `every`th, and the last.

    The first, because a fault in the validation should show itself at once; the last, because the
    final figures need it.

    Args:
        evaluator: an engine whose step leaves the state as it is.
        loader: the batches to run it over.
        every: epochs between two validations.
        prefix: put before the evaluator's metric names.
    """

    def __init__(
        self, evaluator: Engine, loader: Any, *, every: int = 1, prefix: str = "val/"
    ) -> None:
        if every < 1:
            raise ValueError(f"every: expected an integer of at least 1, found {every}")
        self.evaluator = evaluator
        self.loader = loader
        self.every = every
        self.prefix = prefix

    def attach(self, engine: Engine) -> None:
        """Subscribe. Everything that needs metrics runs after it."""
        if engine is self.evaluator:
            raise ValueError("Validation: an engine can't be its own evaluator; expected a second")
        # Before all handlers that remember anything: where the validation is left, none of them
        # has seen the epoch yet, so that the continued run can fire the event again.
        engine.attach_handler(
            Events.EPOCH_COMPLETED,
            self._validate,
            provides=(EPOCH_METRICS, *self.metric_names),
            priority=_FIRST,
        )

    @property
    def metric_names(self) -> list[str]:
        """The names under which its results stand in `engine.state.metrics`."""
        return [self.prefix + name for name in self.evaluator.metric_names]

    def _validate(self, engine: Engine) -> None:
        state = engine.state
        if not (state.epoch in (1, state.max_epochs) or state.epoch % self.every == 0):
            # The engine keeps the metrics of the epoch before; these would be passed off as new.
            for name in [name for name in state.metrics if name.startswith(self.prefix)]:
                del state.metrics[name]
            return
        result = run_unless_stopping(engine, self.evaluator, self.loader, state.train_state)
        for name, value in result.metrics.items():
            state.metrics[self.prefix + name] = value


def run_unless_stopping(
    trainer: Engine, evaluator: Engine, loader: Any, train_state: Any
) -> EngineState:
    """Run `evaluator` once over `loader`, and leave it when `trainer` is asked to stop.

    Returns:
        The evaluator's state, with its metrics.

    Raises:
        Interrupted: it was left. Evaluator and loader are as if it had not begun.
    """
    left = False

    def look() -> None:
        nonlocal left
        if trainer.stops_here():
            left = True
            evaluator.terminate()

    evaluator.reset()  # it may have been left, or have failed, in the middle
    with evaluator.attach_handler(Events.ITERATION_COMPLETED(every_seconds=_LOOK_SECONDS), look):
        result = evaluator.run(loader, state=train_state)
    if left:
        evaluator.reset()
        raise Interrupted
    return result
