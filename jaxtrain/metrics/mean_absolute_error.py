"""The mean absolute error of a regression.

    trainer.add_metrics({"mae": MeanAbsoluteError()})

Axes: B batch, D columns of a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.ratio import MeanState
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.regression import RegressionMetric


@METRICS.register("mean_absolute_error")
@dataclass(frozen=True, kw_only=True)
class MeanAbsoluteError(RegressionMetric[MeanState]):
    """The mean of `|outputs - labels|` over the elements of real rows, in the labels' unit.

    What it reads and takes, `RegressionMetric` says.

    >>> metric = MeanAbsoluteError()
    >>> state = metric.update(metric.empty(), {"outputs": [1.0, 5.0], "labels": [2.0, 2.0]})
    >>> float(metric.compute(state))
    2.0
    """

    state_type: ClassVar = MeanState

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the rows of one more output.

        Raises:
            DataError: where outputs and labels have different shapes.
        """
        outputs, labels, real = self.pair(output)
        errors = jnp.abs(outputs - labels)
        return state.plus(jnp.sum(errors, where=real), jnp.sum(real, dtype=jnp.int32))
