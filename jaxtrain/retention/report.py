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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jaxtrain.errors import DataError, did_you_mean
from jaxtrain.retention.baseline import Baseline
from jaxtrain.retention.beside import JOINT, MERGED, Joint, Merged
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.evidence import RESAMPLES, Evidence
from jaxtrain.retention.findings import Findings
from jaxtrain.retention.matrix import RetentionMatrix
from jaxtrain.retention.notes import what_to_know, why_not
from jaxtrain.retention.record import from_json, to_json
from jaxtrain.retention.scores import TaskScores
from jaxtrain.retention.table import report_text
from jaxtrain.retention.transfer import FORMULAS


@dataclass(frozen=True, kw_only=True)
class RetentionReport(Findings):
    """What was found, from a matrix of scores, and as text and JSON."""

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

    def text(self, tolerance: float = 0.0) -> str:
        """The report as tables and lines, as wide as they are."""
        return report_text(self, tolerance)

    def print(self, tolerance: float = 0.0) -> None:
        """Print `text()`."""
        print(self.text(tolerance))

    def to_json(self) -> dict[str, Any]:
        """As JSON values, which hold every bit."""
        return to_json(self)

    @classmethod
    def from_json(cls, record: Any) -> RetentionReport:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        return from_json(cls, record)


def _refuse_unknown(what: str, names: Iterable[str], matrix: RetentionMatrix) -> None:
    for name in names:
        if name not in matrix.names:
            raise DataError(
                f"{what}: {name!r} is no task here (there are {', '.join(matrix.names)})"
                + did_you_mean(name, matrix.names)
            )
