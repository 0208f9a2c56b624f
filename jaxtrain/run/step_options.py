"""What a step is to know of a config, besides model, loss and optimizer.

step = make_train_step(task.model, task.loss, without_schedule(config), **step_options(config))
"""

from __future__ import annotations

from typing import Any

import optax

from jaxtrain.config import ExperimentConfig, ScheduleSection
from jaxtrain.errors import ConfigError
from jaxtrain.optim import held_patterns, make_optimizer
from jaxtrain.step import cutmix, mixup


def without_schedule(config: ExperimentConfig) -> optax.GradientTransformation:
    """The optimizer of a config at its peak, with its groups and its slow weights."""
    return make_optimizer(config.optimizer, ScheduleSection(), 1, batch_size=config.data.batch_size)


def step_options(config: ExperimentConfig) -> dict[str, Any]:
    """What `make_train_step` is to know of a config, besides model, loss and optimizer.

    Raises:
        ConfigError: options that do not go together.
    """
    optimizer, train = config.optimizer, config.train
    if train.mixup is not None and train.cutmix is not None:
        raise ConfigError("train.mixup and train.cutmix: rows are mixed in one way; leave one out")
    if (train.mixup or train.cutmix) and getattr(config.model, "lengths", None):
        raise ConfigError(
            "train.mixup and train.cutmix: rows of different lengths can't be mixed; leave out "
            "model.lengths"
        )
    mix = mixup(train.mixup) if train.mixup is not None else None
    return {
        "precision": config.precision,
        "clip_norm": optimizer.clip_norm,
        "clip_value": optimizer.clip_value,
        "clip_leaf_norm": optimizer.clip_leaf_norm,
        "accumulate": train.accumulate,
        "virtual_shards": train.virtual_shards,
        "mix": cutmix(train.cutmix) if train.cutmix is not None else mix,
        "sam_radius": None if train.sam is None else train.sam.radius,
        "sam_adaptive": train.sam is not None and train.sam.adaptive,
        "freeze": held_patterns(optimizer),
        "ema_decay": train.ema,
    }
