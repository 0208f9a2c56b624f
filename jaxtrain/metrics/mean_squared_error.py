"""The mean squared error of a regression.

    trainer.add_metrics({"mse": MeanSquaredError()})

Axes: B batch, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.ratio import MeanState
from jaxtrain.metrics.registry import METRICS


@METRICS.register("mean_squared_error")
@dataclass(frozen=True, kw_only=True)
class MeanSquaredError(MonoidMetric[MeanState]):
    """The mean of `(outputs - labels)**2` over the elements of real rows, in the labels' unit².

    Reads `outputs` `[B]`, `[B, 1]` or `[B, K]`, `labels` `[B]` or `[B, K]`, and `mask`.

    Args:
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every element counts.
    """

    state_type: ClassVar = MeanState

    outputs: str = "outputs"
    labels: str = "labels"
    mask: str | None = "mask"

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the rows of one more output.

        Raises:
            DataError: where outputs and labels have different shapes.
        """
        outputs, labels = self.read(output, self.outputs), self.read(output, self.labels)
        if outputs.shape == (*labels.shape, 1):
            outputs = outputs[..., 0]
        if outputs.shape != labels.shape:
            # Broadcasting [B] against [B, 1] would silently compare every row with every other.
            raise DataError(
                f"{self.title} wants outputs and labels of one shape; "
                f"found {self.outputs} {outputs.shape}, {self.labels} {labels.shape}"
            )
        errors = jnp.square(outputs.astype(jnp.float32) - labels.astype(jnp.float32))
        real = self.counted(output, errors, mask=self.mask)
        return state.plus(jnp.sum(errors, where=real), jnp.sum(real, dtype=jnp.int32))
