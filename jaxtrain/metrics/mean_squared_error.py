"""The mean squared error of a regression.

    trainer.add_metrics({"mse": MeanSquaredError()})

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


@METRICS.register("mean_squared_error")
@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(RegressionMetric[MeanState]):
    """The mean of `(outputs - labels)**2` over the elements of real rows, in the labels' unit².

    What it reads and takes, `RegressionMetric` says.
    """

    state_type: ClassVar = MeanState

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the rows of one more output.

        Raises:
            DataError: where outputs and labels have different shapes.
        """
        outputs, labels, real = self.pair(output)
        errors = jnp.square(outputs - labels)
        return state.plus(jnp.sum(errors, where=real), jnp.sum(real, dtype=jnp.int32))
