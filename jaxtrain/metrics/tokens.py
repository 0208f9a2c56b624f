"""How many tokens counted.

trainer.add_metrics({"tokens": Tokens()})

Axes: B rows, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jaxtrain.metrics.exact import Count
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.registry import METRICS


@METRICS.register("tokens")
@dataclass(frozen=True, kw_only=True)
class Tokens(MonoidMetric[Count]):
    """The labels that count, since the metrics were reset: all, or those where the mask is above 0.

    Counted exactly; the value is the nearest float32, and 0 of nothing.

    Args:
        labels: where the labels `[B, L]` stand in the step's output, as a dotted path.
        mask: where the mask stands; None where every label counts.

    >>> output = {"labels": [[5, 2, 0]], "mask": [[1.0, 1.0, 0.0]]}
    >>> metric = Tokens()
    >>> float(metric.compute(metric.update(metric.empty(), output)))
    2.0
    """

    state_type: ClassVar = Count

    labels: str = "labels"
    mask: str | None = "mask"

    def update(self, state: Count, output: Output) -> Count:
        """With the labels of one more output."""
        real = self.counted(output, self.read(output, self.labels), mask=self.mask)
        return state.plus(jnp.sum(real, dtype=jnp.int32))
