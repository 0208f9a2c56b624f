"""What is set beside the phases: the merged model, and a model trained on everything at once.

Merged.of(evidence, tasks, row=3).largest          # 0.0: merging has changed no answer
Joint.of(evidence, tasks, row=3).gap               # how far the phases fall short of it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.evidence import Evidence

MERGED, JOINT = "merged", "joint"


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The model of the last phase with its adapter merged, saved and loaded again.

    Attributes:
        scores: of each task.
        changes: those less the scores with the adapter attached.
        nll_changes: the same of the negative log-likelihoods, in nats.
        largest: the largest difference of a score, over all examples.
        largest_nll: the largest difference of a negative log-likelihood, over all examples, in
            nats per unit of weight.
    """

    scores: dict[str, Estimate]
    changes: dict[str, Estimate]
    nll_changes: dict[str, Estimate]
    largest: float
    largest_nll: float

    @classmethod
    def of(cls, evidence: Evidence, tasks: Sequence[str], *, row: int) -> Merged:
        """Compare with what was scored in `row`.

        Raises:
            DataError: a task was scored in only one of the two.
        """
        for task in tasks:
            if evidence.has(MERGED, task) != evidence.has(row, task):
                here = "the merged model" if evidence.has(MERGED, task) else f"row {row}"
                raise DataError(
                    f"merged: {task!r} was scored of {here} alone; both have to be, or neither"
                )
        tasks = [task for task in tasks if evidence.has(MERGED, task)]
        if not tasks:
            raise DataError("merged: expected the scores of at least one task, found none")
        pairs = [(evidence.of(MERGED, task), evidence.of(row, task)) for task in tasks]
        return cls(
            scores={task: evidence.score(MERGED, task) for task in tasks},
            changes={task: evidence.change(task, MERGED, since=row) for task in tasks},
            nll_changes={task: evidence.nll_change(task, MERGED, since=row) for task in tasks},
            largest=max(float(np.abs(a.score - b.score).max()) for a, b in pairs),
            largest_nll=max(float(np.abs(a.nll - b.nll).max()) for a, b in pairs),
        )


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A model trained on all tasks together: what the phases could come to at best, about.

    Attributes:
        scores: of each task.
        nlls: their negative log-likelihoods, in nats per unit of weight.
        average: over the tasks that were trained; None where one was not scored.
        gap: `average` less ACC.
    """

    scores: dict[str, Estimate]
    nlls: dict[str, Estimate]
    average: Estimate | None
    gap: Estimate | None

    @classmethod
    def of(
        cls, evidence: Evidence, tasks: Sequence[str], untrained: Sequence[str], *, row: int
    ) -> Joint:
        """Compare with what was scored in `row`."""
        scored = [task for task in (*tasks, *untrained) if evidence.has(JOINT, task)]
        if not scored:
            raise DataError("joint: expected the scores of at least one task, found none")
        whole = all(evidence.has(JOINT, task) for task in tasks)
        both = whole and all(evidence.has(row, task) for task in tasks)

        def average(r: np.ndarray) -> np.ndarray:
            return np.asarray(r[..., 0, :].mean(-1))

        def gap(r: np.ndarray) -> np.ndarray:
            return np.asarray((r[..., 0, :] - r[..., 1, :]).mean(-1))

        return cls(
            scores={task: evidence.score(JOINT, task) for task in scored},
            nlls={task: evidence.nll(JOINT, task) for task in scored},
            average=evidence.figure(average, tasks, rows=[JOINT]) if whole else None,
            gap=evidence.figure(gap, tasks, rows=[JOINT, row]) if both else None,
        )
