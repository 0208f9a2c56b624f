"""Means of what a step puts out: any entry by its key, or the loss.

    trainer.add_metrics({"loss": Loss(), "grad_norm": Mean("grad_norm")})

Axes: B batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxtrain.metrics.metric import Output, entry, real_rows
from jaxtrain.metrics.ratio import MeanState


@dataclass(frozen=True)
class Mean:
    """The mean of the entry `key` of the outputs.

    A scalar entry counts once an output, whatever the size of its batch. An entry `[B, ...]` counts
    once a real row and element.

    >>> mean = Mean("grad_norm")
    >>> state = mean.update(mean.empty(), {"grad_norm": 1.0})
    >>> float(mean.compute(mean.update(state, {"grad_norm": 2.0})))
    1.5
    """

    key: str

    def empty(self) -> MeanState:
        """No outputs yet."""
        return MeanState.empty()

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the entry of one more output."""
        values = entry(output, self.key).astype(jnp.float32)
        if values.ndim == 0:
            return state.plus(values, 1.0)
        real = real_rows(output, values)
        return state.plus(jnp.sum(values, where=real), jnp.sum(real, dtype=jnp.int32))

    def merge(self, a: MeanState, b: MeanState) -> MeanState:
        """With the values of both."""
        return a.merge(b)

    def compute(self, state: MeanState) -> jax.Array:
        """The mean; NaN of nothing."""
        return state.value()


@dataclass(frozen=True)
class Loss:
    """The mean loss over examples: the sum of `loss_sum` over the sum of `loss_weight`.

    Not the mean of the batches' means: a short last batch counts by its rows.
    """

    def empty(self) -> MeanState:
        """No outputs yet."""
        return MeanState.empty()

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the loss of one more batch."""
        return state.plus(entry(output, "loss_sum"), entry(output, "loss_weight"))

    def merge(self, a: MeanState, b: MeanState) -> MeanState:
        """With the batches of both."""
        return a.merge(b)

    def compute(self, state: MeanState) -> jax.Array:
        """The mean loss; NaN of nothing."""
        return state.value()
