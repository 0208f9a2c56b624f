"""The class form of a metric, for a notebook or a loop written by hand.

    accuracy = StatefulMetric(Accuracy())
    for batch in loader:
        accuracy.update(evaluate(state, batch))
    print(float(accuracy.compute()))

An engine needs none of this: `add_metrics` takes the pure metric.
"""

from __future__ import annotations

from typing import Generic

import jax

from jaxtrain.metrics.metric import Metric, Output, State


class StatefulMetric(Generic[State]):
    """A thin shell over a `Metric` that keeps the state between calls, on the device.

    Args:
        metric: the pure metric; its update is compiled once for each shape of output.
    """

    def __init__(self, metric: Metric[State]) -> None:
        self.metric = metric
        self._update = jax.jit(metric.update)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        self.state = self.metric.empty()

    def update(self, output: Output) -> None:
        """See one more output. Does not wait for the device."""
        self.state = self._update(self.state, output)

    def compute(self) -> jax.Array:
        """The value so far."""
        return self.metric.compute(self.state)
