"""R², the coefficient of determination: the share of the labels' variance that is predicted.

    trainer.add_metrics({"r2": R2Score()})
    trainer.add_metrics({"r2": R2Score(columns=3)})                    # targets [B, 3]

Axes: B batch, D columns of a target, N elements of a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.metrics.exact import Count, Sum
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.regression import RegressionMetric


class R2State(NamedTuple):
    """How many labels, their mean, and the squares around it and around the outputs; each `[D]`.

    Sums of plain squares would lose all digits where the mean is large beside the deviation. So
    parts are merged by their means, after Chan, Golub and LeVeque (1979), Updating formulae and a
    pairwise algorithm for computing sample variances, eq. 2.1.
    """

    rows: Count
    mean: Sum
    around_mean: Sum
    around_outputs: Sum

    @classmethod
    def empty(cls, columns: int = 1) -> R2State:
        """No labels yet."""
        zeros = jnp.zeros((columns,), jnp.float32)
        return cls(Count.of(zeros), *(Sum.of(zeros) for _ in range(3)))

    @classmethod
    def of(cls, outputs: jax.Array, labels: jax.Array, real: jax.Array) -> R2State:
        """That of `[N, D]` alone."""
        count = jnp.sum(real, axis=0, dtype=jnp.int32)
        divisor = jnp.maximum(count, 1).astype(jnp.float32)
        # From one of the labels on: so those that are all equal come to 0 exactly.
        start = jnp.min(labels, axis=0, where=real, initial=jnp.inf)
        start = jnp.where(count > 0, start, 0.0)
        above = jnp.where(real, labels - start[None], 0.0)
        shift = jnp.sum(above, axis=0) / divisor
        centred = jnp.where(real, above - shift[None], 0.0)
        rest = jnp.sum(centred, axis=0)  # what rounding has left of 0
        squares = jnp.sum(jnp.square(centred), axis=0) - rest * (rest / divisor)
        errors = jnp.sum(jnp.square(outputs - labels), axis=0, where=real)
        mean = Sum.of(start).plus(shift)
        return cls(Count.of(count), mean, Sum.of(jnp.maximum(squares, 0.0)), Sum.of(errors))

    def merge(self, other: R2State) -> R2State:
        """With the labels of `other`."""
        mine, others = self.rows.value(), other.rows.value()
        both = jnp.maximum(mine + others, 1.0)
        apart = other.mean.total - self.mean.total + (other.mean.error - self.mean.error)
        between = (apart * (mine / both)) * apart * others
        merged = R2State(
            self.rows.merge(other.rows),
            self.mean.plus(apart * (others / both)),
            self.around_mean.merge(other.around_mean).plus(between),
            self.around_outputs.merge(other.around_outputs),
        )
        # Merging with nothing changes no bit.
        kept = jax.tree.map(lambda new, own: jnp.where(others == 0, own, new), merged, self)
        return jax.tree.map(lambda new, own: jnp.where(mine == 0, own, new), kept, other)

    def value(self) -> jax.Array:
        """R², the mean over the columns; NaN where one has fewer than two labels."""
        total, errors = self.around_mean.value(), self.around_outputs.value()
        # As scikit-learn has it: of a constant there is no variance to predict, only to miss.
        constant = jnp.where(errors == 0, 1.0, 0.0)
        score = jnp.where(total == 0, constant, 1 - errors / jnp.where(total == 0, 1.0, total))
        with jax.debug_nans(False):  # that of nothing is an answer
            return jnp.mean(jnp.where(self.rows.value() < 2, jnp.nan, score))


@dataclass(frozen=True, kw_only=True)
class R2Score(RegressionMetric[R2State]):
    """`1 - sum((labels - outputs)**2) / sum((labels - mean(labels))**2)`, at best 1.

    A model that always says the labels' mean has 0, a worse one less. Of several columns it is the
    mean of theirs. As in scikit-learn, where the labels are all equal it is 1 if the outputs are
    equal to them and 0 if not; of fewer than two rows it is NaN. What it reads, `RegressionMetric`
    says.

    Args:
        columns: D of the target; 1 for targets `[B]`.

    >>> metric = R2Score()
    >>> output = {"outputs": [1.0, 2.0, 4.0], "labels": [1.0, 2.0, 3.0]}
    >>> float(metric.compute(metric.update(metric.empty(), output)))
    0.5
    """

    state_type: ClassVar = R2State

    columns: int = 1

    def empty(self) -> R2State:
        """Nothing seen yet, of no column."""
        return R2State.empty(self.columns)

    def update(self, state: R2State, output: Output) -> R2State:
        """With the rows of one more output.

        Raises:
            DataError: where outputs and labels have different shapes, or others than `columns`.
        """
        outputs, labels, real = (self.by_column(x, self.columns) for x in self.pair(output))
        return state.merge(R2State.of(outputs, labels, real))


@METRICS.register("r2_score")
def r2_score(
    num_outputs: int,
    *,
    columns: Annotated[int, pydantic.Field(ge=1)] | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> R2Score:
    """R², the part of the targets' variance that is explained; 1 at best, 0 of their mean.

    Args:
        num_outputs: how many columns the data have.
        columns: columns of the target; None for those of the data.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every element counts.
    """
    return R2Score(columns=columns or num_outputs, outputs=outputs, labels=labels, mask=mask)
