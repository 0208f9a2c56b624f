"""A line, or a power of one.

schedule: {name: linear, warmup_fraction: 0.1}
schedule: {name: polynomial, power: 2}
"""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.registry import SCHEDULES

Scale = Annotated[float, pydantic.Field(ge=0, le=1)]


@SCHEDULES.register("linear")
def linear(
    learning_rate: float, total_steps: int, *, start_scale: Scale = 1.0, final_scale: Scale = 0.0
) -> optax.Schedule:
    """A line from one fraction of the learning rate to another.

    Args:
        learning_rate: the peak.
        total_steps: updates until its end. Later it stays where it is.
        start_scale: the beginning as a fraction of the peak.
        final_scale: the end as a fraction of the peak.
    """

    def schedule(count: jax.Array) -> jax.Array:
        gone = jnp.minimum(count, total_steps)
        return (
            learning_rate * (start_scale * (total_steps - gone) + final_scale * gone) / total_steps
        )

    return schedule


@SCHEDULES.register("polynomial")
def polynomial(
    learning_rate: float,
    total_steps: int,
    *,
    power: Annotated[float, pydantic.Field(gt=0, le=100)] = 1.0,
    final_scale: Scale = 0.0,
) -> optax.Schedule:
    """Down by a power of the time that is left.

    Args:
        learning_rate: the peak, which it begins at.
        total_steps: updates until its end. Later it stays where it is.
        power: 1 is a line.
        final_scale: the end as a fraction of the peak.
    """

    def schedule(count: jax.Array) -> jax.Array:
        # What is left is counted, since `1 - gone` loses digits near the end.
        left = jnp.maximum(total_steps - count, 0) / total_steps
        return learning_rate * (final_scale + (1 - final_scale) * left**power)

    return schedule
