"""The optimizer of a run, from its two sections of the config.

    tx = make_optimizer(config.optimizer, config.schedule, total_steps=4680)
    opt_state = tx.init(params)

The sections say what; `total_steps`, which a schedule may need, is known once the data is.
"""

from __future__ import annotations

import optax
import pydantic

from jaxtrain.optim.registry import OPTIMIZERS, SCHEDULES


def make_optimizer(
    optimizer: pydantic.BaseModel, schedule: pydantic.BaseModel, total_steps: int
) -> optax.GradientTransformation:
    """Build the schedule, and the optimizer that follows it.

    Args:
        optimizer: a section with `name`, `learning_rate` (the peak) and the optimizer's options.
        schedule: a section with `name` and the schedule's options.
        total_steps: updates of the parameters in the whole run.

    Raises:
        UnknownNameError: where no registry knows a name.
        ConfigError: where an option does not fit `total_steps`.
    """
    peak: float = optimizer.learning_rate  # type: ignore[attr-defined]
    rate = SCHEDULES.build(schedule, learning_rate=peak, total_steps=total_steps)
    transformation: optax.GradientTransformation = OPTIMIZERS.build(optimizer, learning_rate=rate)
    return transformation
