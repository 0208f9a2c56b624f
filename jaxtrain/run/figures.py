"""By what a model is judged: the loss and the metrics that a config names, or that fit its task.

loss = loss_for(config, class_counts=(900, 100))
metrics = metrics_for(config, task="regression", num_outputs=1, scale=splits.target_scale)
"""

from __future__ import annotations

from typing import Any

from jaxtrain.config import ExperimentConfig
from jaxtrain.data import TargetScale
from jaxtrain.errors import ConfigError
from jaxtrain.metrics import (
    Accuracy,
    HostMetric,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    Perplexity,
    R2Score,
    RootMeanSquaredError,
    TokenAccuracy,
    in_data_unit,
)
from jaxtrain.metrics.registry import METRICS
from jaxtrain.step import LOSSES, LossFn


def loss_for(
    config: ExperimentConfig, *, class_counts: tuple[int, ...] | None, **changes: Any
) -> LossFn:
    """The loss that `config` names.

    Args:
        config: its `loss` section.
        class_counts: how many training rows of each class there are, where that is known.
        changes: options in the place of the config's.

    Raises:
        ConfigError: it can't be made of them.
    """
    try:
        loss: LossFn = LOSSES.build(
            config.loss.model_copy(update=changes), class_counts=class_counts
        )
    except ConfigError as error:
        raise ConfigError(
            f"loss {config.loss.name!r}, data {config.data.name!r}: {error}"
        ) from None
    return loss


def metrics_for(
    config: ExperimentConfig, *, task: str, num_outputs: int, scale: TargetScale | None
) -> dict[str, Metric[Any] | HostMetric]:
    """Metrics by bare names; a new one each time of those in the class form, which remember.

    Where the targets were standardised they are in the unit of the data all the same. The loss is
    not: it is what is minimised, and that is of standardised numbers.

    Args:
        config: its `metrics` section may name them.
        task: "classification", "regression" or "language".
        num_outputs: the classes, the columns of the target, or the tokens of the vocabulary.
        scale: of standardised targets.
    """
    found: dict[str, Metric[Any] | HostMetric]
    if config.metrics is not None:
        found = {
            key: METRICS.build(section, num_outputs=num_outputs)
            for key, section in config.metrics.items()
        }
    elif task == "classification":
        found = {"loss": Loss(), "accuracy": Accuracy()}
    elif task == "language":
        found = {"loss": Loss(), "perplexity": Perplexity(), "token_accuracy": TokenAccuracy()}
    else:
        found = {"loss": Loss()}
        # Runs that knew no other figure may pick their best checkpoint by this one.
        found |= {"mse": MeanSquaredError()} if scale is None else {}
        found |= {
            "mae": MeanAbsoluteError(),
            "rmse": RootMeanSquaredError(columns=num_outputs),
            "r2": R2Score(columns=num_outputs),
        }
    if scale is None:
        return found
    return {
        key: metric
        if isinstance(metric, Loss)
        else in_data_unit(metric, scale.mean, scale.deviation)
        for key, metric in found.items()
    }
