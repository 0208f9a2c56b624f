"""Metrics that are updated on the host: any object with `reset`, `update` and `compute`.

    trainer.add_metrics({"auc": my_metric})

Each iteration is then a dispatch of its own, which is waited for; `plan` says so. A pure metric
costs neither. What such a metric has seen is in no snapshot, so that a run that was saved within an
epoch can't be restored with one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from jaxtrain.engine.events import Events
from jaxtrain.errors import ConfigError
from jaxtrain.metrics import HostMetric, naming


def attach_host_metric(engine: Any, name: str, metric: HostMetric) -> None:
    """Reset at an epoch's start, update in every iteration, compute at its end."""

    def update(engine: Any) -> None:
        output = engine.state.output
        with naming(name):
            metric.update(jax.device_get(dict(output) if hasattr(output, "keys") else output))

    def compute(engine: Any) -> None:
        with naming(name):
            engine.state.metrics[name] = metric.compute()

    update.__qualname__ = f"host metric {name!r}"
    # Before all handlers: they find the figures of this iteration, and of this epoch; and one that
    # raises does not keep the metric from being reset.
    engine.attach_handler(Events.EPOCH_STARTED, metric.reset, priority=float("inf"))
    engine.attach_handler(Events.ITERATION_COMPLETED, update, priority=float("inf"))
    engine.attach_handler(
        Events.EPOCH_COMPLETED, compute, priority=float("inf"), provides=("metrics",)
    )


def refuse_half_seen(names: list[str], counters: Mapping[str, Any]) -> None:
    """See that no metric on the host would begin within an epoch, which nobody has reset it for.

    Args:
        names: of those that the engine has.
        counters: of the run that is to be restored.

    Raises:
        ConfigError: the run was saved within an epoch, of which they have seen nothing.
    """
    if names and counters["epoch_open"]:
        raise ConfigError(
            f"the run was saved after iteration {counters['epoch_iteration']} of an epoch, of "
            f"which the metrics on the host ({', '.join(names)}) have seen nothing: their figure "
            "of it would be another than without the stop. Restore a checkpoint of an epoch's end, "
            "take a pure metric, or add this one to an evaluator in place of the trainer"
        )
