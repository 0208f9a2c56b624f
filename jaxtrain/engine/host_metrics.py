"""Metrics that are updated on the host: any object with `reset`, `update` and `compute`.

    trainer.add_metrics({"auc": my_metric})

Each iteration is then a dispatch of its own, which is waited for; `plan` says so. A pure metric
costs neither.
"""

from __future__ import annotations

from typing import Any

import jax

from jaxtrain.engine.events import Events
from jaxtrain.metrics import HostMetric


def attach_host_metric(engine: Any, name: str, metric: HostMetric) -> None:
    """Reset at an epoch's start, update in every iteration, compute at its end."""

    def update(engine: Any) -> None:
        output = engine.state.output
        metric.update(jax.device_get(dict(output) if hasattr(output, "keys") else output))

    def compute(engine: Any) -> None:
        engine.state.metrics[name] = metric.compute()

    update.__qualname__ = f"host metric {name!r}"
    # Before all handlers: they find the figures of this iteration, and of this epoch; and one that
    # raises does not keep the metric from being reset.
    engine.attach_handler(Events.EPOCH_STARTED, metric.reset, priority=float("inf"))
    engine.attach_handler(Events.ITERATION_COMPLETED, update, priority=float("inf"))
    engine.attach_handler(
        Events.EPOCH_COMPLETED, compute, priority=float("inf"), provides=("metrics",)
    )
