"""Evidence: all that was scored, with its resamples, so that any figure of it has an interval.

    evidence = Evidence(matrix, {"merged": scores_of_the_merged_model}, seed=0, resamples=4000)
    evidence.score(2, "facts"), evidence.change("facts", 2, since=1)
    evidence.figure(backward_transfer, matrix.tasks)

The examples of a task are drawn once, for all phases and for what is set beside them.

Axes: T phases, G tasks, S resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.matrix import RetentionMatrix
from jaxtrain.retention.resampling import loss_interval, resample, score_interval
from jaxtrain.retention.scores import TaskScores

RESAMPLES = 4000

# A row of the matrix by its number, or what is set beside it by its name.
Row = int | str


class Evidence:
    """What was scored, drawn anew many times.

    Args:
        matrix: rows by phase.
        beside: other rows of its tasks, by name: of the merged model, of a joint training.
        seed: of the draws.
        resamples: S.

    Raises:
        DataError: what is beside is of other examples.
    """

    def __init__(
        self,
        matrix: RetentionMatrix,
        beside: Mapping[str, Mapping[str, TaskScores]],
        *,
        seed: int,
        resamples: int,
    ) -> None:
        self.resamples = resamples
        self._scores: dict[str, dict[Row, TaskScores]] = {name: {} for name in matrix.names}
        rows: list[tuple[Row, Mapping[str, TaskScores]]] = [*enumerate(matrix.rows)]
        for key, row in [*rows, *beside.items()]:
            for name, scores in row.items():
                for known in self._scores[name].values():
                    known.refuse_others(scores, what=f"{key}: {name}")
                    break
                self._scores[name][key] = scores
        self._drawn = {
            name: resample([*known.values()], task=name, seed=seed, resamples=resamples)
            for name, known in self._scores.items()
            if known
        }

    def has(self, row: Row, task: str, *others: Row) -> bool:
        """Whether a task was scored in a row, and in the others."""
        return {row, *others} <= self._scores[task].keys()

    def of(self, row: Row, task: str) -> TaskScores:
        """What was scored there."""
        return self._scores[task][row]

    def examples(self) -> dict[str, int]:
        """How many examples each task has that was scored at all."""
        return {name: self._examples(name) for name, known in self._scores.items() if known}

    def score(self, row: Row, task: str) -> Estimate:
        """The mean score."""
        drawn = self._drawn[task].score[:, self._column(row, task)]
        return score_interval(self.of(row, task).mean(), drawn, examples=self._examples(task))

    def nll(self, row: Row, task: str) -> Estimate:
        """The mean negative log-likelihood, in nats."""
        drawn = self._drawn[task].nll[:, self._column(row, task)]
        return loss_interval(self.of(row, task).mean_nll(), drawn, examples=self._examples(task))

    def change(self, task: str, row: Row, *, since: Row) -> Estimate:
        """The score in a row less that in another, on the same examples."""
        value = self.of(row, task).mean() - self.of(since, task).mean()
        drawn = self._difference(self._drawn[task].score, task, row, since)
        return score_interval(value, drawn, examples=self._examples(task))

    def nll_change(self, task: str, row: Row, *, since: Row) -> Estimate:
        """The same of the negative log-likelihood: above 0 is worse."""
        value = self.of(row, task).mean_nll() - self.of(since, task).mean_nll()
        drawn = self._difference(self._drawn[task].nll, task, row, since)
        return loss_interval(value, drawn, examples=self._examples(task))

    def figure(
        self,
        formula: Callable[[np.ndarray], np.ndarray],
        tasks: Sequence[str],
        *,
        rows: Sequence[Row],
    ) -> Estimate:
        """A figure made of several tasks, which are drawn independently of each other.

        Args:
            formula: of `[..., rows, G]` to `[...]`.
            tasks: G of them.
            rows: which rows; what was not scored is NaN.
        """
        values = np.full((len(rows), len(tasks)), np.nan)
        drawn = np.full((self.resamples, len(rows), len(tasks)), np.nan)
        for g, task in enumerate(tasks):
            for k, row in enumerate(rows):
                if self.has(row, task):
                    values[k, g] = self.of(row, task).mean()
                    drawn[:, k, g] = self._drawn[task].score[:, self._column(row, task)]
        fewest = min(self._examples(task) for task in tasks)
        return score_interval(float(formula(values)), formula(drawn), examples=fewest)

    def _column(self, row: Row, task: str) -> int:
        return [*self._scores[task]].index(row)

    def _difference(self, drawn: np.ndarray, task: str, row: Row, since: Row) -> np.ndarray:
        return np.asarray(drawn[:, self._column(row, task)] - drawn[:, self._column(since, task)])

    def _examples(self, task: str) -> int:
        return len(next(iter(self._scores[task].values())))
