"""Down by the same factor in the same time, smoothly.

schedule: {name: exponential, factor: 0.95}                  # an epoch
"""

from __future__ import annotations

import math
from typing import Annotated

import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.registry import SCHEDULES
from jaxtrain.optim.schedules.lengths import Unit, in_steps


@SCHEDULES.register("exponential")
def exponential(
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int | None = None,
    *,
    factor: Annotated[float, pydantic.Field(gt=0, le=1)],
    every: Annotated[int, pydantic.Field(ge=1)] = 1,
    unit: Unit = "epochs",
) -> optax.Schedule:
    """The learning rate times `factor ** (time / every)`, at each update.

    With `step` it falls once every so often and stays in between.

    Args:
        learning_rate: the peak, which it begins at.
        total_steps: updates in the run.
        steps_per_epoch: updates an epoch.
        factor: what is left after `every`.
        every: how long that takes.
        unit: what `every` counts.
    """
    length = in_steps(every, unit, total_steps, steps_per_epoch, "schedule.every")
    # Of a power in float32 the factor's rounding would be multiplied by the count.
    slope = math.log(factor) / length
    return lambda count: learning_rate * jnp.exp(count * slope)
