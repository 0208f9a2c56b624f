"""The run that a joint training is: its config, with as many epochs as the phases take steps.

joint_config(phased, workdir="joint", start=("base", digest))     # an ordinary run's
"""

from __future__ import annotations

import math

from jaxtrain.config import ExperimentConfig
from jaxtrain.phases.joint import JOINT
from jaxtrain.phases.phased_config import PhasedConfig
from jaxtrain.run import RunData


def joint_config(
    phased: PhasedConfig, *, workdir: str | None = None, start: tuple[str, str] | None = None
) -> ExperimentConfig:
    """The config of the joint training; the data of the phases are read for it.

    Where its section does not say `train.epochs`, they are as many as come nearest to the steps of
    all phases together, what they replay included.

    Args:
        phased: has a `joint`.
        workdir: its run directory.
        start: path and digest of what the first phase begins with; None where the config says it.

    Raises:
        ConfigError: rows of the phases can't be put together, or are missing.
    """
    config = phased.config_of(JOINT, workdir=workdir, start=start)
    with phased.told(JOINT):
        each = RunData.of(config).loader.steps_per_epoch
    if phased.tree.get("joint.train.epochs") is not None:
        return config
    steps = 0
    for name in phased.names:
        own = phased.config_of(name)
        steps += own.train.epochs * RunData.of(own).loader.steps_per_epoch
    train = config.train.model_copy(update={"epochs": max(1, math.floor(steps / each + 0.5))})
    return config.model_copy(update={"train": train})
