"""The root of the mean squared error of a regression: column by column, then averaged.

    trainer.add_metrics({"rmse": RootMeanSquaredError()})
    trainer.add_metrics({"rmse": RootMeanSquaredError(columns=3)})     # targets [B, 3]

Axes: B batch, D columns of a target, N elements of a column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.ratio import MeanState
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.regression import RegressionMetric


@dataclass(frozen=True, kw_only=True)
class RootMeanSquaredError(RegressionMetric[MeanState]):
    """The root of the mean of `(outputs - labels)**2` over real rows, in the labels' unit.

    Of several columns it is the mean of their roots, as scikit-learn's is; NaN where in one of
    them nothing counts. What it reads, `RegressionMetric` says.

    Args:
        columns: D of the target; 1 for targets `[B]`.

    >>> metric = RootMeanSquaredError()
    >>> state = metric.update(metric.empty(), {"outputs": [1.0, 5.0], "labels": [2.0, -2.0]})
    >>> float(metric.compute(state))
    5.0
    """

    state_type: ClassVar = MeanState

    columns: int = 1

    def empty(self) -> MeanState:
        """Nothing seen yet, of no column."""
        return MeanState.empty((self.columns,))

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the rows of one more output.

        Raises:
            DataError: where outputs and labels have different shapes, or others than `columns`.
        """
        outputs, labels, real = (self.by_column(x, self.columns) for x in self.pair(output))
        errors = jnp.square(outputs - labels)
        total = jnp.sum(errors, axis=0, where=real)
        return state.plus(total, jnp.sum(real, axis=0, dtype=jnp.int32))

    def compute(self, state: MeanState) -> jax.Array:
        """The value, float32; NaN of nothing."""
        with jax.debug_nans(False):  # that of nothing is an answer
            return jnp.mean(jnp.sqrt(state.value()))


@METRICS.register("root_mean_squared_error")
def root_mean_squared_error(
    num_outputs: int,
    *,
    columns: Annotated[int, pydantic.Field(ge=1)] | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> RootMeanSquaredError:
    """The root of the mean of `(outputs - labels)**2` over real rows, in the labels' unit.

    Args:
        num_outputs: how many columns the data have.
        columns: columns of the target; None for those of the data.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every element counts.
    """
    return RootMeanSquaredError(
        columns=columns or num_outputs, outputs=outputs, labels=labels, mask=mask
    )
