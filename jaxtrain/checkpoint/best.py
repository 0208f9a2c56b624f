"""The best values of the monitored metric among the checkpoints that are kept.

    best = BestValues(committer, keep_best=1, mode="min")
    best.improved_by(0.3)
    best.note(0.3)

Known without a look at the disk once it was taken; `forget` when a save may have failed.
"""

from __future__ import annotations

from jaxtrain.checkpoint.committer import Committer
from jaxtrain.metrics import Direction, improves, rank


class BestValues:
    """Of the checkpoints of one directory.

    Args:
        committer: knows what is there.
        monitor: the name of the metric.
        mode: whether a small or a large value is good.
        keep_best: how many are kept.
    """

    def __init__(
        self, committer: Committer, *, monitor: str, mode: Direction, keep_best: int
    ) -> None:
        self._committer = committer
        self._monitor, self._mode, self._keep_best = monitor, mode, keep_best
        self._values: list[float] | None = None

    def improved_by(self, value: float | None) -> bool:
        """Whether it would be among the best that are kept; an equal one is not."""
        best = self._known()
        last = best[-1] if len(best) == self._keep_best else None
        return improves(value, last, self._mode)

    def note(self, value: float | None) -> None:
        """Know that a checkpoint of this value is being saved."""
        both = [*self._known(), *([] if value is None else [value])]
        self._values = sorted(both, key=lambda one: rank(one, self._mode))[: self._keep_best]

    def forget(self) -> None:
        """Look the values up again, the next time."""
        self._values = None

    def _known(self) -> list[float]:
        if self._values is None:
            ranked = self._committer.ranked(self._committer.committed())[: self._keep_best]
            self._values = [v for s in ranked if (v := s.value(self._monitor)) is not None]
        return self._values
