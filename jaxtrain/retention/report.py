"""RetentionReport: what a run of several phases has learnt, and what it has lost.

    report = RetentionReport.of(matrix, baselines={"questions": baseline}, control="stories")
    report.backward_transfer                      # Estimate(value=-0.21, low=-0.26, high=-0.17)
    report.forgotten(tolerance=0.02)              # {"medical": True, "stories": False}
    report.print()
    draw_retention(report, "retention.png")

Every figure has a 95 % interval by a paired bootstrap, and every verdict is drawn on the end of
one, never on the figure. docs/retention.md says what each figure is and is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from jaxtrain.errors import ConfigError, DataError, did_you_mean
from jaxtrain.retention.baseline import Baseline
from jaxtrain.retention.beside import JOINT, MERGED, Joint, Merged
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.evidence import RESAMPLES, Evidence
from jaxtrain.retention.matrix import RetentionMatrix
from jaxtrain.retention.notes import what_to_know, why_not
from jaxtrain.retention.scores import TaskScores
from jaxtrain.retention.transfer import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    general_ability,
)

Verdict = Literal["forgotten", "kept", "undecided"]
Estimates = dict[str, Estimate]
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "average_accuracy": average_accuracy,
    "backward_transfer": backward_transfer,
    "forgetting": forgetting,
    "forward_transfer": forward_transfer,
    "general_ability": general_ability,
}


@dataclass(frozen=True, kw_only=True)
class RetentionReport:
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

    @classmethod
    def of(
        cls,
        matrix: RetentionMatrix,
        *,
        baselines: Mapping[str, Baseline] | None = None,
        merged: Mapping[str, TaskScores] | None = None,
        joint: Mapping[str, TaskScores] | None = None,
        control: str | None = None,
        seed: int = 0,
        resamples: int = RESAMPLES,
    ) -> RetentionReport:
        """The report on the phases that are done.

        Args:
            matrix: the scores, with the adapter attached. What was not evaluated has no figure, and
                a note says so.
            baselines: of each task.
            merged: the scores of the last phase's model, merged, saved and loaded again.
            joint: the scores of a model that was trained on all tasks at once.
            control: the suite whose held-out loss is compared as PEFT does it.
            seed: of the resamples; the same scores and seed give the same report.
            resamples: how often the examples are drawn.

        Raises:
            DataError: no phase is done, or something is of another task or of other examples.
        """
        if not matrix.phases_done:
            raise DataError(
                "retention: expected the scores of the base model and of at least one phase, found "
                f"{len(matrix.rows)} rows"
            )
        _refuse_unknown("baselines", baselines or (), matrix)
        _refuse_unknown(MERGED, merged or (), matrix)
        _refuse_unknown(JOINT, joint or (), matrix)
        _refuse_unknown("control", () if control is None else (control,), matrix)
        waiting = matrix.phase_names[matrix.phases_done :]
        matrix = matrix.upto(matrix.phases_done)
        beside = {
            key: {name: scores for name, scores in row.items() if name in matrix.names}
            for key, row in ((MERGED, merged), (JOINT, joint))
            if row is not None
        }
        evidence = Evidence(matrix, beside, seed=seed, resamples=resamples)
        last, tasks, untrained = matrix.phases_done, matrix.tasks, matrix.untrained
        notes = [f"not trained yet: {', '.join(waiting)}"] if waiting else []
        figures: dict[str, Estimate | None] = {}
        for name, formula in FORMULAS.items():
            columns = untrained if name == "general_ability" else tasks
            why = why_not(name, matrix)
            if why is not None:
                notes.append(f"no {name.replace('_', ' ')}: {why}")
            figures[name] = None if why else evidence.figure(formula, columns, rows=range(last + 1))
        since = {name: matrix.reference_row(name) for name in (*tasks[:-1], *untrained)}
        since = {n: row for n, row in since.items() if evidence.has(row, n, last)}
        gained = {
            name: row for row, name in enumerate(tasks, start=1) if evidence.has(0, name, row)
        }
        report = cls(
            tasks=tasks,
            phases=matrix.phase_names,
            untrained=untrained,
            examples=evidence.examples(),
            scores=tuple(
                {name: evidence.score(k, name) for name in matrix.names if name in row}
                for k, row in enumerate(matrix.rows)
            ),
            nlls=tuple(
                {name: evidence.nll(k, name) for name in matrix.names if name in row}
                for k, row in enumerate(matrix.rows)
            ),
            **figures,
            gains={n: evidence.change(n, row, since=0) for n, row in gained.items()},
            changes={n: evidence.change(n, last, since=row) for n, row in since.items()},
            nll_changes={n: evidence.nll_change(n, last, since=row) for n, row in since.items()},
            baselines={n: one for n, one in (baselines or {}).items() if n in matrix.names},
            merged=Merged.of(evidence, matrix.names, row=last) if MERGED in beside else None,
            joint=Joint.of(evidence, tasks, untrained, row=last) if JOINT in beside else None,
            control=control,
            control_loss=(
                evidence.nll_change(control, last, since=0)
                if control in matrix.names and evidence.has(0, control, last)
                else None
            ),
            notes=(),
            seed=seed,
            resamples=resamples,
        )
        return replace(report, notes=(*notes, *what_to_know(report)))

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

    def text(self, tolerance: float = 0.0) -> str:
        """The report as tables and lines, as wide as they are."""
        from jaxtrain.retention.table import report_text

        return report_text(self, tolerance)

    def print(self, tolerance: float = 0.0) -> None:
        """Print `text()`."""
        print(self.text(tolerance))

    def to_json(self) -> dict[str, Any]:
        """As JSON values, which hold every bit."""
        from jaxtrain.retention.record import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, record: Any) -> RetentionReport:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        from jaxtrain.retention.record import from_json

        return from_json(record)


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


def _refuse_unknown(what: str, names: Iterable[str], matrix: RetentionMatrix) -> None:
    for name in names:
        if name not in matrix.names:
            raise DataError(
                f"{what}: {name!r} is no task here (there are {', '.join(matrix.names)})"
                + did_you_mean(name, matrix.names)
            )
