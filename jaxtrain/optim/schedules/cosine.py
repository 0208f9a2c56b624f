"""Half a cosine down; once, or again and again.

schedule: {name: cosine, warmup_steps: 100}
schedule: {name: sgdr, first: 10, growth: 2}
"""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.registry import SCHEDULES
from jaxtrain.optim.schedules.lengths import Unit, in_steps

FinalScale = Annotated[float, pydantic.Field(ge=0, le=1)]


@SCHEDULES.register("cosine")
def cosine(
    learning_rate: float, total_steps: int, *, final_scale: FinalScale = 0.0
) -> optax.Schedule:
    """Down in half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983).

    Args:
        learning_rate: the peak, which it begins at.
        total_steps: updates until its end. Later it stays where it is.
        final_scale: the end as a fraction of the peak.
    """
    return optax.cosine_decay_schedule(learning_rate, total_steps, alpha=final_scale)


@SCHEDULES.register("sgdr")
def sgdr(
    learning_rate: float,
    total_steps: int,
    steps_per_epoch: int | None = None,
    *,
    first: Annotated[int, pydantic.Field(ge=1)],
    unit: Unit = "epochs",
    growth: Annotated[int, pydantic.Field(ge=1)] = 1,
    final_scale: FinalScale = 0.0,
) -> optax.Schedule:
    """Half cosines down, one after the other, each from the peak (SGDR, arXiv:1608.03983).

    Args:
        learning_rate: the peak.
        total_steps: updates in the run.
        steps_per_epoch: updates an epoch.
        first: the length of the first of them; `T_0` in the paper.
        unit: what `first` counts.
        growth: each is so many times as long as the one before; `T_mult` in the paper.
        final_scale: the end of each as a fraction of the peak.
    """
    length = in_steps(first, unit, total_steps, steps_per_epoch, "schedule.first")
    begins, lengths = [0], [length]
    while begins[-1] + lengths[-1] < total_steps:
        begins.append(begins[-1] + lengths[-1])
        lengths.append(lengths[-1] * growth)

    def schedule(count: jax.Array) -> jax.Array:
        number = jnp.searchsorted(jnp.asarray(begins), count, side="right") - 1
        of = jnp.asarray(lengths)[number]
        gone = jnp.minimum(count - jnp.asarray(begins)[number], of)
        # The square of a sine, not 1 + cos: near the end most digits of that would cancel.
        left = jnp.sin(0.5 * jnp.pi * (of - gone) / of) ** 2
        return learning_rate * (final_scale + (1 - final_scale) * left)

    return schedule
