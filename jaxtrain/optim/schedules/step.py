"""Down by steps: every so often, or at milestones.

schedule: {name: step, every: 30, factor: 0.1}
schedule: {name: multi_step, milestones: [60, 120, 160], factor: 0.2, warmup_epochs: 5}
"""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.registry import SCHEDULES
from jaxtrain.optim.schedules.lengths import Unit, in_steps

Factor = Annotated[float, pydantic.Field(gt=0, le=1)]
Count = Annotated[int, pydantic.Field(ge=1)]


@SCHEDULES.register("step")
def step(
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int | None = None,
    *,
    every: Count,
    unit: Unit = "epochs",
    factor: Factor = 0.1,
) -> optax.Schedule:
    """The learning rate times a factor, every so often.

    Args:
        learning_rate: the peak, which it begins at.
        total_steps: updates in the run.
        steps_per_epoch: updates an epoch.
        every: how long it stays where it is.
        unit: what `every` counts.
        factor: of one step down.
    """
    length = in_steps(every, unit, total_steps, steps_per_epoch, "schedule.every")
    return lambda count: learning_rate * jnp.power(factor, count // length)


@SCHEDULES.register("multi_step")
def multi_step(
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int | None = None,
    *,
    milestones: Annotated[tuple[Count, ...], pydantic.Field(min_length=1)],
    unit: Unit = "epochs",
    factor: Factor = 0.1,
) -> optax.Schedule:
    """The learning rate times a factor, at each milestone.

    Args:
        learning_rate: the peak, which it begins at.
        total_steps: updates in the run.
        steps_per_epoch: updates an epoch.
        milestones: when, counted from the end of the warm-up, each later than the one before.
        unit: what they count.
        factor: of one step down.

    Raises:
        ConfigError: the milestones do not rise.
    """
    if list(milestones) != sorted(set(milestones)):
        raise ConfigError(
            f"schedule.milestones: expected numbers that rise, found {list(milestones)}"
        )
    counts = [
        in_steps(one, unit, total_steps, steps_per_epoch, "schedule.milestones")
        for one in milestones
    ]
    rates = [learning_rate * factor**number for number in range(len(counts) + 1)]

    def schedule(count: jax.Array) -> jax.Array:
        passed = jnp.searchsorted(jnp.asarray(counts), count, side="right")
        return jnp.asarray(rates, jnp.float32)[passed]

    return schedule
