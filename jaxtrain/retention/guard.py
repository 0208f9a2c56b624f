"""validate_no_forgetting: ends a training that unlearns what came before.

    guard = validate_no_forgetting(evaluate, matrix.references(), tolerance=0.02)
    trainer.attach_handler(Events.EPOCH_COMPLETED, guard)
    trainer.run(loader, max_epochs=10)
    guard.reason                     # None, or "forgotten: medical: -12.3 [-15.1, -9.6] points"

It knows of the engine only that it can be terminated.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from jaxtrain.errors import ConfigError
from jaxtrain.retention.evidence import RESAMPLES
from jaxtrain.retention.scores import TaskScores
from jaxtrain.retention.validation import Evaluate, ValidationReport, test_all_phases

logger = logging.getLogger(__name__)


class Terminable(Protocol):
    """What the guard needs of an engine."""

    def terminate(self) -> None:
        """End the run after the current event."""


class ForgettingGuard:
    """A handler that evaluates what is to be kept, and ends the run where it is surely lost.

    Attributes:
        report: of the last evaluation; None before the first.
        reason: why it ended the run; None where it has not.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        before: Mapping[str, TaskScores],
        *,
        tolerance: float,
        seed: int,
        resamples: int,
    ) -> None:
        if not before:
            raise ConfigError("validate_no_forgetting: before: expected a task to keep, found none")
        if not 0 <= tolerance <= 1:
            raise ConfigError(f"tolerance: expected a score from 0 to 1, found {tolerance!r}")
        self._evaluate = evaluate
        self._before = dict(before)
        self._tolerance = tolerance
        self._seed = seed
        self._resamples = resamples
        self.report: ValidationReport | None = None
        self.reason: str | None = None

    def __call__(self, engine: Terminable) -> None:
        """Look once."""
        self.report = test_all_phases(
            self._evaluate,
            self._before,
            before=self._before,
            seed=self._seed,
            resamples=self._resamples,
        )
        said = self.report.verdicts(self._tolerance)
        lost = [
            f"{name}: {self.report.changes[name].text(scale=100, sign=True)} points"
            for name, verdict in said.items()
            if verdict == "forgotten"
        ]
        self.reason = f"forgotten: {'; '.join(lost)}" if lost else None
        if self.reason is not None:
            logger.warning("stopped: %s", self.reason)
            engine.terminate()


def validate_no_forgetting(
    evaluate: Evaluate,
    before: Mapping[str, TaskScores],
    *,
    tolerance: float = 0.0,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> ForgettingGuard:
    """A handler of EPOCH_COMPLETED that terminates the run where a task is surely forgotten.

    Args:
        evaluate: gives the scores of a task by its name, with the model as it is in training.
        before: the scores of each task that is to be kept: `RetentionMatrix.references()`.
        tolerance: how much of its score a task may lose. It is lost when all of the 95 % interval
            of the change is below -tolerance. Who looks often is wrong sometimes: of twenty looks
            at an unchanged task one or so may find it lost by 0, so give what you would mind.
        seed: of the resamples.
        resamples: how often the examples are drawn.

    Raises:
        ConfigError: nothing to keep, or a tolerance that is not from 0 to 1.
    """
    return ForgettingGuard(evaluate, before, tolerance=tolerance, seed=seed, resamples=resamples)
