"""Monitors: the metrics that a config picks something by, looked up before the run begins.

    refuse_unknown_monitors(config, trainer)

A monitor that nobody provides would otherwise be found out after an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from jaxtrain.config import ExperimentConfig
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.hooks import EPOCH_METRICS, History
from jaxtrain.metrics import is_host_metric


def monitors(config: ExperimentConfig) -> dict[str, str]:
    """By the key of its section, the metric that the checkpoints and each hook want."""
    return {"checkpoint": config.checkpoint.monitor} | {
        f"hooks.{name}": section.monitor
        for name, section in config.hooks.items()
        if hasattr(section, "monitor")
    }


def refuse_unknown_monitors(
    config: ExperimentConfig, trainer: Engine, metrics: Mapping[str, Any]
) -> None:
    """See that the trainer, its hooks attached, provides every monitor of `config`.

    Args:
        config: names them.
        trainer: of the run.
        metrics: of the run, by bare names.

    Raises:
        ConfigError: naming the key, the nearest metric, and all that there are; or that the metric
            is no number, as a confusion matrix is none.
    """
    known = {*trainer.metric_names, *trainer.provided} - {EPOCH_METRICS, History.PROVIDES}
    for key, name in monitors(config).items():
        if name not in known:
            raise ConfigError(
                f"{key}.monitor: no metric is called {name!r}{did_you_mean(name, known)} "
                f"(this run has: {', '.join(sorted(known))})"
            )
        metric = metrics.get(name.rpartition("/")[2])
        if metric is not None and not is_host_metric(metric):
            shape = jax.eval_shape(metric.compute, jax.eval_shape(metric.empty)).shape
            if shape != ():
                raise ConfigError(
                    f"{key}.monitor: {name!r} is no number that could be better or worse, but an "
                    f"array {list(shape)}"
                )
