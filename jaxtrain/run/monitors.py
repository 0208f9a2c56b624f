"""Monitors: the metrics that a config picks something by, looked up before the run begins.

    refuse_unknown_monitors(config, trainer)

A monitor that nobody provides would otherwise be found out after an epoch.
"""

from __future__ import annotations

from jaxtrain.config import ExperimentConfig
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.hooks import METRICS, History


def monitors(config: ExperimentConfig) -> dict[str, str]:
    """By the key of its section, the metric that the checkpoints and each hook want."""
    return {"checkpoint": config.checkpoint.monitor} | {
        f"hooks.{name}": section.monitor
        for name, section in config.hooks.items()
        if hasattr(section, "monitor")
    }


def refuse_unknown_monitors(config: ExperimentConfig, trainer: Engine) -> None:
    """See that the trainer, its hooks attached, provides every monitor of `config`.

    Raises:
        ConfigError: naming the key, the nearest metric, and all that there are.
    """
    known = {*trainer.metric_names, *trainer.provided} - {METRICS, History.PROVIDES}
    for key, name in monitors(config).items():
        if name not in known:
            raise ConfigError(
                f"{key}.monitor: no metric is called {name!r}{did_you_mean(name, known)} "
                f"(this run has: {', '.join(sorted(known))})"
            )
