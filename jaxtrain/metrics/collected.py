"""What exact metrics of rankings have in common: all scores, kept on the host.

A subclass says what the scores of one class come to:

    @dataclass(frozen=True, kw_only=True)
    class ExactRocAuc(CollectedMetric):
        binned = "RocAuc"

        def of_column(self, truth, scores):
            return roc_auc_score(truth, scores)

Axes: B batch, K classes, C columns, N rows.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import numpy as np

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.one_vs_rest import OneVsRest, ScoresRead


@dataclass(frozen=True, kw_only=True)
class CollectedMetric(OneVsRest):
    """Ranks rows by their very scores, in the class form: `reset`, `update(output)`, `compute()`.

    It keeps every row that counts, 10 bytes a row and column, and is updated on the host: each
    iteration is then a dispatch of its own, which is waited for. For evaluations of some million
    rows; in training, and for more, there is the binned one. A NaN among the scores that count
    makes the figure NaN.

    What it reads and takes besides, `OneVsRest` says.

    Args:
        max_rows: one more is an error.

    Raises:
        ConfigError: (from `update`) there are more than `max_rows`.
        DataError: (from `update`) shapes do not fit, a label is no class, or a probability not
            between 0 and 1.
    """

    binned: ClassVar[str]
    """The metric that does it in constant memory."""

    max_rows: int = 1_000_000
    _kept: list[ScoresRead] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rows < 1:
            raise ValueError(f"max_rows: expected at least 1, found {self.max_rows}")

    @abstractmethod
    def of_column(self, truth: np.ndarray, ranks: np.ndarray) -> float:
        """The figure of one class, of at least one row.

        Args:
            truth: whether a row is of the class, bools `[N]`.
            ranks: whole numbers `[N]`, the larger the higher the score, equal where scores are.
        """

    def reset(self) -> None:
        """Forget everything seen."""
        self._kept.clear()

    def update(self, output: Output) -> None:
        """See one more output, on the host."""
        with np.errstate(all="ignore"):  # of rows that don't count; of others it is looked at
            found = self.read_scores(output, xp=np)
        found = ScoresRead(*(part.reshape(-1, self.columns) for part in found))
        self._refuse_unsound(found)
        rows = found.real.any(axis=1)
        self._kept.append(ScoresRead(*(part[rows] for part in found)))
        seen = sum(len(kept.scores) for kept in self._kept)
        if seen > self.max_rows:
            raise ConfigError(
                f"{self.title} keeps at most max_rows={self.max_rows:,} rows, found {seen:,}; take "
                f"{self.binned}, whose memory is constant (in a config, leave out `exact`), or a "
                f"larger max_rows: a row takes {10 * self.columns:,} bytes"
            )

    def compute(self) -> float:
        """The value so far; NaN of nothing."""
        if not any(len(kept.scores) for kept in self._kept):
            return float("nan")
        found = ScoresRead(*(np.concatenate(parts) for parts in zip(*self._kept, strict=True)))
        if np.isnan(found.scores[found.real]).any():
            return float("nan")
        columns = range(self.columns)
        each = np.array([self._of(found, column) for column in columns])
        positives = (found.truth & found.real).sum(axis=0).astype(np.float64)
        return float(self.mean(each, positives, xp=np))

    def refuse_misfit(self, output: Output) -> None:
        """Raise a `DataError` where outputs of such shapes can't be read; shapes are enough."""
        jax.eval_shape(self.read_scores, dict(output))

    def _of(self, found: ScoresRead, column: int) -> float:
        real = found.real[:, column]
        if not real.any():
            return float("nan")
        # Ranks order rows as scores do, and are finite where these are not.
        _, ranks = np.unique(found.scores[real, column], return_inverse=True)
        return float(self.of_column(found.truth[real, column], ranks))

    def _refuse_unsound(self, found: ScoresRead) -> None:
        wrong = found.real & ~found.sound & ~np.isnan(found.scores)
        if not wrong.any():
            return
        row = int(wrong.any(axis=1).argmax())
        several = self.columns > 1 and not self.multilabel
        is_not = f"0 to {self.num_classes - 1}" if several else "0 or 1"
        further, hint = "", ""
        if self.scores == "probabilities":
            further = ", or a probability that is not between 0 and 1"
            hint = "; logits are read by scores='logits'"
        raise DataError(
            f"{self.title}: row {row} of a batch has a label that is not {is_not}{further}; its "
            f"highest score is {found.scores[row].max():g}. Rows that are not to count are left "
            f"out by ignore_label or the mask{hint}"
        )
