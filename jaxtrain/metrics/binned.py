"""What binned metrics of rankings have in common: a histogram, and how wrong it may make them.

A subclass says what the histogram comes to, and between which numbers the true figure is:

    @dataclass(frozen=True, kw_only=True)
    class RocAuc(BinnedMetric):
        def each(self, state):
            return state.value()

Axes: B batch, K classes, C columns, S bins.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxtrain.metrics.histogram import HistogramState
from jaxtrain.metrics.log_odds import logit
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.one_vs_rest import OneVsRest


@dataclass(frozen=True, kw_only=True)
class BinnedMetric(OneVsRest, MonoidMetric[HistogramState]):
    """Ranks rows by the bins of their scores, in constant memory: `16 * C * bins` bytes.

    Bins are even in `x / (4 + |x|)` of the log-odds x, so that a confident model's scores, all of
    them 1 as float32 probabilities, still fall into different ones. A NaN among the scores that
    count, a probability outside of 0 to 1, or a label that is no class makes the figure NaN: none
    of them has a place in the ranking.

    What it reads and takes besides, `OneVsRest` says.

    Args:
        bins: how many; `error_bound` says what they cost.
    """

    state_type: ClassVar = HistogramState

    bins: int = 2048

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bins < 2 or self.columns * self.bins >= 2**31:
            raise ValueError(
                f"bins: expected at least 2, and below 2**31 with all {self.columns} columns, "
                f"found {self.bins}"
            )

    @abstractmethod
    def each(self, state: HistogramState) -> jax.Array:
        """The figure of each column `[C]`."""

    @abstractmethod
    def bounds_of_each(self, state: HistogramState) -> tuple[jax.Array, jax.Array]:
        """What each column's figure is at least, and at most, `[C]` both."""

    def empty(self) -> HistogramState:
        """Nothing seen yet."""
        return HistogramState.empty(self.columns, self.bins)

    def update(self, state: HistogramState, output: Output) -> HistogramState:
        """With the scores of one more output.

        Raises:
            DataError: shapes do not fit each other or the number of classes, or labels are no
                whole numbers.
        """
        found = self.read_scores(output)
        odds = found.scores if self.scores == "logits" else logit(found.scores)
        more = HistogramState.of(
            odds, found.truth, real=found.real, sound=found.sound, bins=self.bins
        )
        return state.merge(more)

    def compute(self, state: HistogramState) -> jax.Array:
        """The value, float32; NaN of nothing."""
        return self._averaged(state, self.each(state))

    def bounds(self, state: HistogramState) -> tuple[jax.Array, jax.Array]:
        """What the figure of the very scores is at least and at most, float32 both."""
        low, high = self.bounds_of_each(state)
        return self._averaged(state, low), self._averaged(state, high)

    def error_bound(self, state: HistogramState) -> jax.Array:
        """How far `compute` may be from the figure of the very scores, float32.

        It holds for scores as float32 has them; the rounding of the arithmetic, about 1e-6, comes
        on top.
        """
        value, (low, high) = self.compute(state), self.bounds(state)
        return jnp.maximum(value - low, high - value)

    def _averaged(self, state: HistogramState, each: jax.Array) -> jax.Array:
        positives, _ = state.totals()
        with jax.debug_nans(False):  # it says that the ranking does not hold all rows
            mean: jax.Array = self.mean(each, positives)
            return jnp.where(state.astray.value() > 0, jnp.nan, mean)
