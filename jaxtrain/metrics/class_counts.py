"""How often each class was said, was true, and was said rightly: all that F-scores are made of.

    counts = ClassCounts.of(predicted, labels, said=said, classed=known, real=real, classes=3)
    state = state.merge(counts)
    state.right.value() / state.predicted.value()                     # precision of each class

Axes: B batch, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.metrics.exact import Count
from jaxtrain.metrics.tally import tally


class ClassCounts(NamedTuple):
    """Rows in all, and by class those of which it was right, was predicted, was the label `[K]`.

    A row whose label is no class is in `rows` and, for the class that was predicted, in
    `predicted`; one of which nothing was predicted in `rows` and in `true`.
    """

    right: Count
    predicted: Count
    true: Count
    rows: Count

    @classmethod
    def empty(cls, classes: int = 2) -> ClassCounts:
        """No rows yet."""
        zeros = jnp.zeros(classes, jnp.uint32)
        return cls(Count.of(zeros), Count.of(zeros), Count.of(zeros), Count.of(0))

    @classmethod
    def of(
        cls,
        predicted: jax.Array,
        labels: jax.Array,
        *,
        said: jax.Array,
        classed: jax.Array,
        real: jax.Array,
        classes: int,
    ) -> ClassCounts:
        """That of some rows alone.

        Args:
            predicted: int32 `[B, ...]`.
            labels: int32 of the same shape.
            said: where a class was predicted.
            classed: where the label is a class.
            real: which rows count.
            classes: K.
        """
        right = said & classed & (predicted == labels)
        return cls(
            Count.of(tally(labels, where=right & real, size=classes)),
            Count.of(tally(predicted, where=said & real, size=classes)),
            Count.of(tally(labels, where=classed & real, size=classes)),
            Count.of(jnp.sum(real, dtype=jnp.int32)),
        )

    def merge(self, other: ClassCounts) -> ClassCounts:
        """With the rows of `other` added."""
        return ClassCounts(*(mine.merge(its) for mine, its in zip(self, other, strict=True)))

    def value(self) -> jax.Array:
        """The fraction of rows that are right, float32; NaN of none."""
        right, rows = jnp.sum(self.right.value()), self.rows.value()
        with jax.debug_nans(False):  # that of nothing is an answer
            return jnp.where(rows == 0, jnp.nan, right / jnp.maximum(rows, 1.0))
