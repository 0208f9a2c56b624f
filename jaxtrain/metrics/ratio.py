"""The states that most metrics share: a sum over a sum, a count over a count.

state = MeanState.empty().plus(total=8.0, weight=4.0)
state.value()                                            # 2.0; NaN while the weight is 0
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxtrain.metrics.exact import Count, Sum


class MeanState(NamedTuple):
    """A weighted mean in the making: `total` of weighted values over `weight`."""

    total: Sum
    weight: Sum

    @classmethod
    def empty(cls, shape: tuple[int, ...] = ()) -> MeanState:
        """No values yet; for an array of means, of that shape."""
        zeros = jnp.zeros(shape, jnp.float32)
        return cls(Sum.of(zeros), Sum.of(zeros))

    def plus(self, total: ArrayLike, weight: ArrayLike) -> MeanState:
        """With `total` and `weight` added."""
        return MeanState(self.total.plus(total), self.weight.plus(weight))

    def merge(self, other: MeanState) -> MeanState:
        """With the values of `other` added."""
        return MeanState(self.total.merge(other.total), self.weight.merge(other.weight))

    def value(self) -> jax.Array:
        """The mean, float32; NaN where the weight is 0."""
        return _quotient(self.total.value(), self.weight.value())


class FractionState(NamedTuple):
    """How many of how many, exactly."""

    hits: Count
    rows: Count

    @classmethod
    def empty(cls) -> FractionState:
        """None of none."""
        return cls(Count.of(0), Count.of(0))

    def plus(self, hits: jax.Array, among: jax.Array) -> FractionState:
        """With the number of True in `hits & among`, of the number in `among`, added."""
        return FractionState(
            self.hits.plus(jnp.sum(hits & among, dtype=jnp.int32)),
            self.rows.plus(jnp.sum(among, dtype=jnp.int32)),
        )

    def merge(self, other: FractionState) -> FractionState:
        """With the counts of `other` added."""
        return FractionState(self.hits.merge(other.hits), self.rows.merge(other.rows))

    def value(self) -> jax.Array:
        """The fraction, float32; NaN of none."""
        return _quotient(self.hits.value(), self.rows.value())


def _quotient(above: jax.Array, below: jax.Array) -> jax.Array:
    """`above / below`; NaN where `below` is 0, without a division that `jax.debug_nans` stops at.

    The NaN of nothing is an answer, not an accident. (A compiled function that gives it back is
    stopped all the same: there `debug_nans` looks at what comes out.)
    """
    with jax.debug_nans(False):
        return jnp.where(below == 0, jnp.float32(jnp.nan), above / below)
