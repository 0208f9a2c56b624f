"""Runs an evaluator over a second loader between the epochs of a training.

    evaluator = Engine(eval_step, state)
    evaluator.add_metrics({"loss": Loss(), "accuracy": Accuracy()})
    trainer.attach(Validation(evaluator, validation_loader))
    trainer.run(loader)
    trainer.state.metrics["val/loss"]

The evaluator is handed the trainer's TrainState each time.
"""

from __future__ import annotations

from typing import Any

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks.registry import METRICS


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
        engine.attach_handler(
            Events.EPOCH_COMPLETED, self._validate, provides=(METRICS, *self.metric_names)
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
        result = self.evaluator.run(self.loader, state=state.train_state)
        for name, value in result.metrics.items():
            state.metrics[self.prefix + name] = value
