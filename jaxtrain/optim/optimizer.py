"""The optimizer of a run, from its two sections of the config.

    tx = make_optimizer(config.optimizer, config.schedule, total_steps=4680)
    opt_state = tx.init(params)

The sections say what; `total_steps`, which a schedule may need, is known once the data is.
"""

from __future__ import annotations

import optax
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.batch_scaling import peak_rate
from jaxtrain.optim.registry import OPTIMIZERS, SCHEDULES
from jaxtrain.optim.warmup import warmed_up, warmup_length


def make_optimizer(
    optimizer: pydantic.BaseModel,
    schedule: pydantic.BaseModel,
    total_steps: int,
    *,
    steps_per_epoch: int | None = None,
    batch_size: int | None = None,
) -> optax.GradientTransformation:
    """Build the schedule, and the optimizer that follows it.

    Args:
        optimizer: a section with `name`, `learning_rate` (the peak), the optimizer's options and
            perhaps `batch_scaling`.
        schedule: a section with `name`, the schedule's options and perhaps a warm-up.
        total_steps: updates of the parameters in the whole run.
        steps_per_epoch: updates an epoch, for what counts epochs.
        batch_size: examples an update, for `batch_scaling`.

    Raises:
        UnknownNameError: where no registry knows a name.
        ConfigError: where an option does not fit `total_steps`, or what it needs is not given.
    """
    rate = make_schedule(
        schedule,
        peak_rate(optimizer, batch_size),
        total_steps,
        steps_per_epoch=steps_per_epoch,
    )
    transformation: optax.GradientTransformation = OPTIMIZERS.build(optimizer, learning_rate=rate)
    return transformation


def make_schedule(
    schedule: pydantic.BaseModel,
    learning_rate: float,
    total_steps: int,
    *,
    steps_per_epoch: int | None = None,
) -> optax.ScalarOrSchedule:
    """The learning rate over the updates: the warm-up, and behind it the schedule.

    The schedule is given the updates that are left, and counts from 0 where the warm-up ends.

    Args:
        schedule: a section, as of `make_optimizer`.
        learning_rate: the peak.
        total_steps: updates of the parameters in the whole run.
        steps_per_epoch: updates an epoch.

    Returns:
        A function of the number of updates done; a number where it is constant.

    Raises:
        UnknownNameError: where the registry does not know the name.
        ConfigError: where an option does not fit `total_steps`.
    """
    name: str = schedule.name  # type: ignore[attr-defined]
    own = [key for key in SCHEDULES.options(name) if key.startswith("warmup_")]
    if own:
        raise ConfigError(
            f"schedule {name!r}: {', '.join(own)} is there for every schedule, and what is "
            "registered is what comes behind the warm-up; take it out of the signature"
        )
    warmup = warmup_length(schedule, total_steps, steps_per_epoch)
    rate: optax.ScalarOrSchedule = SCHEDULES.build(
        schedule,
        learning_rate=learning_rate,
        total_steps=total_steps - warmup,
        steps_per_epoch=steps_per_epoch,
    )
    if not warmup:
        return rate
    start: float = schedule.warmup_from  # type: ignore[attr-defined]
    return warmed_up(rate, peak=learning_rate, steps=warmup, start=start)
