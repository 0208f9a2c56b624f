"""The metrics of a run: those that its config names, or else those that fit what there is to learn.

metrics = metrics_for(config, task="regression", num_outputs=1)
"""

from __future__ import annotations

from typing import Any

from jaxtrain.config import ExperimentConfig
from jaxtrain.metrics import Accuracy, Loss, MeanSquaredError, Metric
from jaxtrain.metrics.registry import METRICS


def metrics_for(config: ExperimentConfig, *, task: str, num_outputs: int) -> dict[str, Metric[Any]]:
    """Metrics by bare names.

    Args:
        config: its `metrics` section may name them.
        task: "classification" or "regression".
        num_outputs: the classes, or the columns of the target.
    """
    if config.metrics is not None:
        return {
            key: METRICS.build(section, num_outputs=num_outputs)
            for key, section in config.metrics.items()
        }
    if task == "regression":
        return {"loss": Loss(), "mse": MeanSquaredError()}
    return {"loss": Loss(), "accuracy": Accuracy()}
