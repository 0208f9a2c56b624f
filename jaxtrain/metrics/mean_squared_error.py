"""The mean squared error of a regression.

    trainer.add_metrics({"mse": MeanSquaredError()})

Axes: B batch, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.metric import Output, entry, real_rows
from jaxtrain.metrics.ratio import MeanState


@dataclass(frozen=True)
class MeanSquaredError:
    """The mean of `(outputs - labels)**2` over the elements of real rows, in the labels' unit².

    Reads `outputs` `[B]`, `[B, 1]` or `[B, K]`, `labels` `[B]` or `[B, K]`, and `mask`.
    """

    def empty(self) -> MeanState:
        """No rows yet."""
        return MeanState.empty()

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the rows of one more output.

        Raises:
            DataError: where outputs and labels have different shapes.
        """
        outputs, labels = entry(output, "outputs"), entry(output, "labels")
        if outputs.shape == (*labels.shape, 1):
            outputs = outputs[..., 0]
        if outputs.shape != labels.shape:
            # Broadcasting [B] against [B, 1] would silently compare every row with every other.
            raise DataError(
                "mean squared error wants outputs and labels of one shape; "
                f"found outputs {outputs.shape}, labels {labels.shape}"
            )
        errors = jnp.square(outputs.astype(jnp.float32) - labels.astype(jnp.float32))
        real = real_rows(output, errors)
        return state.plus(jnp.sum(errors, where=real), jnp.sum(real, dtype=jnp.int32))

    def merge(self, a: MeanState, b: MeanState) -> MeanState:
        """With the rows of both."""
        return a.merge(b)

    def compute(self, state: MeanState) -> jax.Array:
        """The mean; NaN of nothing."""
        return state.value()
