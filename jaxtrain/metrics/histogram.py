"""Scores of positives and of negatives, counted in bins: rankings in constant memory.

    state = HistogramState.of(scores, truth, real=real, sound=sound, bins=2048)
    state.value(), state.average_precision()                          # [C] each
    state.pairs_within(), state.precision_bounds()                    # how wrong they may be

Axes: C columns, one for each class against the rest; S bins, from low scores to high ones.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.metrics.exact import Count
from jaxtrain.metrics.tally import tally

_MIDDLE = 4.0
"""Half of the bins lie between minus and plus these log-odds."""


class HistogramState(NamedTuple):
    """How many positives and negatives have a score in each bin `[C, S]`.

    Attributes:
        positives: rows of the class.
        negatives: rows of the rest.
        astray: how many scores had no place: NaN, no probability, of a label that is no class.
    """

    positives: Count
    negatives: Count
    astray: Count

    @classmethod
    def empty(cls, columns: int = 1, bins: int = 2048) -> HistogramState:
        """No scores yet."""
        zeros = jnp.zeros((columns, bins), jnp.uint32)
        return cls(Count.of(zeros), Count.of(zeros), Count.of(0))

    @classmethod
    def of(
        cls,
        log_odds: jax.Array,
        truth: jax.Array,
        *,
        real: jax.Array,
        sound: jax.Array,
        bins: int,
    ) -> HistogramState:
        """That of some scores alone.

        Args:
            log_odds: float32 `[..., C]`.
            truth: whether the row is of the class, bools of that shape.
            real: which count.
            sound: which have a place.
            bins: S.
        """
        columns = log_odds.shape[-1]
        where = real & sound
        first = jnp.arange(columns, dtype=jnp.int32) * jnp.int32(bins)
        place = first + bin_of(jnp.where(where, log_odds, 0.0), bins)
        positives, negatives = (
            tally(place, where=where & half, size=columns * bins).reshape(columns, bins)
            for half in (truth, ~truth)
        )
        astray = jnp.sum(real & ~sound, dtype=jnp.int32)
        return cls(Count.of(positives), Count.of(negatives), Count.of(astray))

    def merge(self, other: HistogramState) -> HistogramState:
        """With the scores of `other` added."""
        return HistogramState(*(mine.merge(its) for mine, its in zip(self, other, strict=True)))

    def totals(self) -> tuple[jax.Array, jax.Array]:
        """How many positives and negatives there are, float32 `[C]` both."""
        return tuple(jnp.sum(half.value(), axis=-1) for half in self[:2])  # type: ignore[return-value]

    def value(self) -> jax.Array:
        """The area under the ROC curve `[C]`, scores of one bin being ties; NaN of one side alone.

        It is the fraction of pairs of a positive and a negative in which the positive scores
        higher, a tie counting half.
        """
        positives, negatives = self._shares()
        below = jnp.cumsum(negatives, axis=-1) - negatives
        with jax.debug_nans(False):  # that of one side alone is an answer
            area = jnp.sum(positives * (below + negatives / 2), axis=-1)
            return jnp.where(self._has_both(), area, jnp.nan)

    def pairs_within(self) -> jax.Array:
        """Half of the fraction of pairs within one bin `[C]`: so wrong may the area be, no more.

        Of such a pair either may score higher, and half of it was counted.
        """
        positives, negatives = self._shares()
        return jnp.sum(positives * negatives, axis=-1) / 2

    def average_precision(self) -> jax.Array:
        """The precision at each positive's score, their mean `[C]`, scores of one bin being ties.

        0 without positives, NaN of nothing.
        """
        positives, right, wrong = self._from_the_top()
        precision = right / jnp.maximum(right + wrong, 1.0)
        return self._over_positives(positives * precision)

    def precision_bounds(self) -> tuple[jax.Array, jax.Array]:
        """The least and the most that the average precision of the very scores can be, `[C]` both.

        Least where in every bin all negatives come before all positives, one after the other; most
        where all positives come before, all at once. With `a` positives above a bin of `p`, and `w`
        negatives down to its end, the former is `sum((a + j) / (a + j + w), j = 1..p)`, which is
        `p - w * sum(1 / (a + j + w))`; that sum is at most an integral, `log1p(p / (a + w + 1/2))`,
        since 1/x is convex, and of one positive known.
        """
        positives, right, wrong = self._from_the_top()
        negatives = self.negatives.value()
        above = right - positives
        most = positives * right / jnp.maximum(right + wrong - negatives, 1.0)
        place = above + wrong
        several = jnp.log1p(positives / (place + 0.5))
        least = positives - wrong * jnp.where(positives > 1, several, positives / (place + 1.0))
        return self._over_positives(jnp.maximum(least, 0.0)), self._over_positives(most)

    def _shares(self) -> tuple[jax.Array, jax.Array]:
        """The parts of all positives, and of all negatives, that are in each bin."""
        of_positives, of_negatives = (jnp.maximum(total, 1.0)[:, None] for total in self.totals())
        return self.positives.value() / of_positives, self.negatives.value() / of_negatives

    def _has_both(self) -> jax.Array:
        positives, negatives = self.totals()
        return (positives > 0) & (negatives > 0)

    def _from_the_top(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Positives of each bin, and positives and negatives of it and all above."""
        positives, negatives = self.positives.value(), self.negatives.value()
        right, wrong = (
            jnp.flip(jnp.cumsum(jnp.flip(half, axis=-1), axis=-1), axis=-1)
            for half in (positives, negatives)
        )
        return positives, right, wrong

    def _over_positives(self, parts: jax.Array) -> jax.Array:
        positives, negatives = self.totals()
        with jax.debug_nans(False):  # that of nothing is an answer
            mean = jnp.sum(parts, axis=-1) / jnp.maximum(positives, 1.0)
            return jnp.where(positives + negatives == 0, jnp.nan, mean)


def bin_of(log_odds: jax.Array, bins: int) -> jax.Array:
    """The bin of each score, int32: a higher score has no lower one.

    Bins are even in `x / (c + |x|)`, c = 4: fine where probabilities are between 0.02 and 0.98, and
    still there where all of them are 1 in float32.

    >>> bin_of(jnp.array([-jnp.inf, -4.0, 0.0, 4.0, jnp.inf]), 100).tolist()
    [0, 25, 50, 75, 99]
    """
    # As written here each operation keeps the order, in floating point, too.
    size = 1.0 - _MIDDLE / (_MIDDLE + jnp.abs(log_odds))
    even = jnp.where(log_odds < 0, -size, size) / 2 + 0.5
    return jnp.minimum((even * bins).astype(jnp.int32), jnp.int32(bins - 1))
