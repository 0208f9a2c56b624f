"""What the metrics of a regression have in common: what they read, and what must fit.

    @METRICS.register("largest_error")
    @dataclass(frozen=True, kw_only=True)
    class LargestError(RegressionMetric[...]):
        def update(self, state, output):
            outputs, labels, real = self.pair(output)
            ...

Axes: B batch, D columns of a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric, MonoidState


@dataclass(frozen=True, kw_only=True)
class RegressionMetric(MonoidMetric[MonoidState]):
    """Reads `outputs` `[B]`, `[B, 1]` or `[B, D]`, `labels` `[B]` or `[B, D]`, and `mask`.

    Args:
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every element counts.
    """

    of_differences: ClassVar[bool] = True
    """Whether a constant added to all outputs and labels changes nothing: see `Rescaled`."""

    outputs: str = "outputs"
    labels: str = "labels"
    mask: str | None = "mask"

    def pair(self, output: Output) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Outputs and labels in float32, and which of their elements count, all of one shape.

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
        outputs, labels = outputs.astype(jnp.float32), labels.astype(jnp.float32)
        return outputs, labels, self.counted(output, labels, mask=self.mask)

    def by_column(self, values: jax.Array, columns: int) -> jax.Array:
        """`[B]` as `[B, 1]`, `[B, ..., D]` as `[N, D]`, where D is `columns`.

        Raises:
            DataError: there are more or fewer of them.
        """
        found = 1 if values.ndim <= 1 else values.shape[-1]
        if found != columns:
            raise DataError(
                f"{self.title} was made for a target of {columns} columns, found {self.labels} "
                f"{values.shape}; make it with columns={found}"
            )
        if values.ndim <= 2:
            return values if values.ndim == 2 else values[..., None]
        return values.reshape(-1, columns)
