"""Findings: what was measured of the phases, and what may be said of it.

    report.changes["medical"]                     # Estimate(value=-0.21, low=-0.26, high=-0.17)
    report.verdicts(tolerance=0.02)               # {"medical": "forgotten"}

A `RetentionReport` is one; apart from it, so that what writes and reads its records, tables and
notes need not know how it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtrain.errors import ConfigError
from jaxtrain.retention.baseline import Baseline
from jaxtrain.retention.beside import Joint, Merged
from jaxtrain.retention.estimate import Estimate

Verdict = Literal["forgotten", "kept", "undecided"]
Estimates = dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that is to be told of what was kept.

    Attributes:
        tasks: what was trained, a task a phase, in that order.
        phases: the names of the phases.
        untrained: suites that no phase trained.
        examples: how many each task has.
        scores: of each task, after each phase, the base model's first.
        nlls: negative log-likelihoods likewise, in nats per unit of weight.
        average_accuracy: ACC.
        backward_transfer: BWT; below 0 is forgetting.
        forgetting: F. The best of several measured figures is above what it measures, so F is
            above 0 even where nothing was forgotten.
        forward_transfer: FWT, against the base model.
        general_ability: the mean change of the untrained suites since the base model.
        gains: of each task, what its own phase made of it: R[j, j] - R[0, j].
        changes: of each task but the last, what became of it since: R[T, j] - R[j, j]; of each
            untrained suite, R[T, g] - R[0, g].
        nll_changes: the same of the negative log-likelihoods; above 0 is worse.
        baselines: of the tasks for which they were given.
        merged: the model with its adapter merged, saved and loaded, where that was scored.
        joint: a model trained on all tasks together, where that was run.
        control: the text by which PEFT's column is measured.
        control_loss: PEFT's "forgetting": the held-out loss on that text after the last phase, less
            that of the base model, in nats.
        notes: what is missing and why, and what else a reader must know.
        seed: of the resamples.
        resamples: how many.
    """

    tasks: tuple[str, ...]
    phases: tuple[str, ...]
    untrained: tuple[str, ...]
    examples: dict[str, int]
    scores: tuple[Estimates, ...]
    nlls: tuple[Estimates, ...]
    average_accuracy: Estimate | None
    backward_transfer: Estimate | None
    forgetting: Estimate | None
    forward_transfer: Estimate | None
    general_ability: Estimate | None
    gains: Estimates
    changes: Estimates
    nll_changes: Estimates
    baselines: dict[str, Baseline]
    merged: Merged | None
    joint: Joint | None
    control: str | None
    control_loss: Estimate | None
    notes: tuple[str, ...]
    seed: int
    resamples: int

    def verdicts(self, tolerance: float = 0.0) -> dict[str, Verdict]:
        """Of each task in `changes`, whether it was forgotten, as far as the examples can tell.

        "forgotten": the whole interval of the change is below -tolerance. "kept": none of it is.
        "undecided": the examples are too few to say.

        Args:
            tolerance: how much of the score may get lost, from 0 to 1.
        """
        return {name: verdict(change, tolerance) for name, change in self.changes.items()}

    def forgotten(self, tolerance: float = 0.0) -> dict[str, bool]:
        """Of each task in `changes`, whether its loss is surely more than `tolerance`.

        False is not "kept": see `verdicts`.
        """
        return {name: said == "forgotten" for name, said in self.verdicts(tolerance).items()}


def verdict(change: Estimate, tolerance: float) -> Verdict:
    """What an interval says of a loss of more than `tolerance`.

    >>> verdict(Estimate(-0.2, -0.3, -0.1), 0.0), verdict(Estimate(-0.2, -0.4, 0.01), 0.0)
    ('forgotten', 'undecided')

    Raises:
        ConfigError: `tolerance` is not from 0 to 1.
    """
    if not 0 <= tolerance <= 1:
        raise ConfigError(f"tolerance: expected a score from 0 to 1, found {tolerance!r}")
    if change.high < -tolerance:
        return "forgotten"
    return "kept" if change.low >= -tolerance else "undecided"
