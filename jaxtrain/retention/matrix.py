"""RetentionMatrix: the scores on every task, before the first phase and after each.

    matrix = RetentionMatrix(tasks=("korean", "medical", "questions"), untrained=("stories",))
    matrix = matrix.with_row(0, {"korean": scores, ..., "stories": scores})       # the base model
    matrix = matrix.with_row(1, {"korean": scores, "stories": scores})            # after phase 1
    matrix.values(), matrix.nlls()                                                # [T + 1, G]

A phase trains one task, so phase k is what trains `tasks[k - 1]`. Row 0 is of the base model.

Axes: T phases; G tasks and untrained suites, in the order of `names`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxtrain.errors import DataError, did_you_mean
from jaxtrain.retention.scores import TaskScores, check_names

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class RetentionMatrix:
    """Scores by phase and task; rows are filled as phases end.

    Args:
        tasks: what is trained, in this order, a task a phase.
        untrained: suites that no phase trains: what the base could do, and is to do still.
        phases: names of the phases; by default those of their tasks.
        rows: `{task: TaskScores}` after each phase, the base model's first. What was not evaluated
            is not there.

    Raises:
        DataError: a name twice, a row of no phase, a task that nobody named, or scores of other
            examples than those of the rows before.
    """

    tasks: tuple[str, ...]
    untrained: tuple[str, ...] = ()
    phases: tuple[str, ...] | None = None
    rows: tuple[Mapping[str, TaskScores], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", check_names("tasks", self.tasks))
        object.__setattr__(self, "untrained", check_names("untrained", self.untrained))
        check_names("tasks and untrained", self.names)
        phases = check_names("phases", self.tasks if self.phases is None else self.phases)
        object.__setattr__(self, "phases", phases)
        if not self.tasks or len(phases) != len(self.tasks):
            raise DataError(
                f"phases: expected one a task, at least one, found {len(phases)} phases and "
                f"{len(self.tasks)} tasks"
            )
        object.__setattr__(self, "rows", tuple(dict(row) for row in self.rows))
        if len(self.rows) > len(self.tasks) + 1:
            raise DataError(
                f"rows: expected at most {len(self.tasks) + 1}, the base model's and one a phase, "
                f"found {len(self.rows)}"
            )
        seen: dict[str, TaskScores] = {}
        for number, row in enumerate(self.rows):
            for name, scores in row.items():
                self._check(number, name, scores, seen.setdefault(name, scores))

    def _check(self, number: int, name: str, scores: TaskScores, before: TaskScores) -> None:
        if name not in self.names:
            raise DataError(
                f"row {number}: {name!r} is no task here (there are {', '.join(self.names)})"
                + did_you_mean(name, self.names)
            )
        if not isinstance(scores, TaskScores):
            raise DataError(f"row {number}: {name}: expected TaskScores, found {scores!r:.80}")
        before.refuse_others(scores, what=f"row {number}: {name}")

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks, and behind them the untrained suites: the columns."""
        return (*self.tasks, *self.untrained)

    @property
    def phase_names(self) -> tuple[str, ...]:
        """The names of the phases, which `phases` holds where somebody gave them."""
        return self.phases or ()

    @property
    def phases_done(self) -> int:
        """T so far: how many phases have a row."""
        return max(len(self.rows) - 1, 0)

    def with_row(self, number: int, row: Mapping[str, TaskScores]) -> RetentionMatrix:
        """The matrix with what was scored after phase `number`, 0 for the base model.

        A row may be filled bit by bit. What is there already may come again as it is, as it does
        in a phase that was killed and is done again.

        Raises:
            DataError: rows before it are missing, or it says something else than what is there.
        """
        if not 0 <= number <= len(self.rows):
            raise DataError(
                f"row {number}: expected one of 0 to {len(self.rows)}: rows come in their order"
            )
        rows = list(self.rows) if number < len(self.rows) else [*self.rows, {}]
        for name, scores in row.items():
            known = rows[number].get(name)
            if known is not None and known != scores:
                raise DataError(
                    f"row {number}: {name}: was scored before, with another result; begin another "
                    "matrix, or find out why an evaluation is not repeatable"
                )
        rows[number] = {**rows[number], **row}
        return replace(self, rows=tuple(rows))

    def upto(self, phases: int) -> RetentionMatrix:
        """What was known when that many phases were done: their tasks alone, and their rows.

        Raises:
            DataError: they are not done.
        """
        if not 1 <= phases <= self.phases_done:
            raise DataError(f"phases: expected 1 to {self.phases_done}, found {phases}")
        tasks = self.tasks[:phases]
        kept = (*tasks, *self.untrained)
        return RetentionMatrix(
            tasks=tasks,
            untrained=self.untrained,
            phases=self.phase_names[:phases],
            rows=tuple(
                {name: scores for name, scores in row.items() if name in kept}
                for row in self.rows[: phases + 1]
            ),
        )

    def reference_row(self, name: str) -> int:
        """The row that a task is compared with: its own phase's, or, untrained, the base's."""
        return self.tasks.index(name) + 1 if name in self.tasks else 0

    def references(self) -> dict[str, TaskScores]:
        """What is to be kept: of each task done its scores after its phase, the base's of others.

        That is what `test_all_phases` and `validate_no_forgetting` take as `before`.
        """
        return {
            name: self.rows[self.reference_row(name)][name]
            for name in self.names
            if self.reference_row(name) < len(self.rows)
            and name in self.rows[self.reference_row(name)]
        }

    def values(self) -> np.ndarray:
        """Mean scores, float64 `[rows, G]`; NaN where nothing was evaluated."""
        return self._table(TaskScores.mean)

    def nlls(self) -> np.ndarray:
        """Mean negative log-likelihoods, in nats, float64 `[rows, G]`; NaN likewise."""
        return self._table(TaskScores.mean_nll)

    def _table(self, mean: Callable[[TaskScores], float]) -> np.ndarray:
        table = np.full((len(self.rows), len(self.names)), np.nan)
        for number, row in enumerate(self.rows):
            for name, scores in row.items():
                table[number, self.names.index(name)] = mean(scores)
        return table

    def to_json(self) -> dict[str, Any]:
        """As JSON values, which hold every bit."""
        return {
            "version": _VERSION,
            "tasks": list(self.tasks),
            "untrained": list(self.untrained),
            "phases": list(self.phase_names),
            "rows": [{name: scores.to_json() for name, scores in row.items()} for row in self.rows],
        }

    @classmethod
    def from_json(cls, record: Any) -> RetentionMatrix:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        wanted = {"version", "tasks", "untrained", "phases", "rows"}
        if (
            not isinstance(record, Mapping)
            or set(record) != wanted
            or record["version"] != _VERSION
            or not all(isinstance(record[name], list) for name in wanted - {"version"})
            or not all(isinstance(row, Mapping) for row in record["rows"])
        ):
            raise DataError(
                f"a retention matrix: expected version {_VERSION}, found {record!r:.80}"
            )
        return cls(
            tasks=tuple(record["tasks"]),
            untrained=tuple(record["untrained"]),
            phases=tuple(record["phases"]),
            rows=tuple(
                {name: TaskScores.from_json(scores) for name, scores in row.items()}
                for row in record["rows"]
            ),
        )
