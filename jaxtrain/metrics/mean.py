"""Means of what a step puts out: any entry by its key, or the loss.

    trainer.add_metrics({"loss": Loss(), "grad_norm": Mean("grad_norm")})

Axes: B batch.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.ratio import MeanState
from jaxtrain.metrics.registry import METRICS


@dataclass(frozen=True)
class Mean(MonoidMetric[MeanState]):
    """The mean of the entry `key` of the outputs.

    A scalar entry counts once an output, whatever the size of its batch. An entry `[B, ...]` counts
    once a real row and element.

    Args:
        key: where it stands in the step's output, as a dotted path.
        mask: where the mask stands; None where every element counts.

    >>> mean = Mean("grad_norm")
    >>> state = mean.update(mean.empty(), {"grad_norm": 1.0})
    >>> float(mean.compute(mean.update(state, {"grad_norm": 2.0})))
    1.5
    """

    state_type: ClassVar = MeanState

    key: str
    _: KW_ONLY
    mask: str | None = "mask"

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the entry of one more output."""
        values = self.read(output, self.key).astype(jnp.float32)
        if values.ndim == 0:
            return state.plus(values, 1.0)
        real = self.counted(output, values, mask=self.mask)
        return state.plus(jnp.sum(values, where=real), jnp.sum(real, dtype=jnp.int32))


@METRICS.register("mean")
def mean(*, key: str, mask: str | None = "mask") -> Mean:
    """The mean of what the step puts out under a key, over all real elements.

    Args:
        key: where it stands in the step's output, as a dotted path.
        mask: where the mask stands; None where every element counts.
    """
    return Mean(key, mask=mask)


@METRICS.register("loss")
@dataclass(frozen=True, kw_only=True)
class Loss(MonoidMetric[MeanState]):
    """The mean loss over examples: the sum of `loss_sum` over the sum of `loss_weight`.

    Not the mean of the batches' means: a short last batch counts by its rows.
    """

    state_type: ClassVar = MeanState

    def update(self, state: MeanState, output: Output) -> MeanState:
        """With the loss of one more batch.

        Raises:
            DataError: `loss_sum` or `loss_weight` is no scalar, as in a population's output.
        """
        return state.plus(self.read(output, "loss_sum"), self.read(output, "loss_weight"))
