"""Learning-rate schedules by name, from optax.

    optimizer: {name: adamw, learning_rate: 1e-3}
    schedule: {name: cosine, warmup_steps: 100}

A step here is an update of the parameters: one a batch, whatever number of micro-batches
`train.accumulate` splits that into.
"""

from __future__ import annotations

from typing import Annotated

import optax
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.registry import SCHEDULES


@SCHEDULES.register("constant")
def constant(learning_rate: float) -> float:
    """The learning rate as it is.

    A number, not a function: so a handler that lowers it in the optimizer state is not overruled
    at the next update.
    """
    return learning_rate


@SCHEDULES.register("cosine")
def cosine(
    learning_rate: float,
    total_steps: int,
    *,
    warmup_steps: Annotated[int, pydantic.Field(ge=0)] = 0,
    final_scale: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.0,
) -> optax.Schedule:
    """Up in a line, down in half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983).

    Args:
        learning_rate: the peak, reached after `warmup_steps`.
        total_steps: updates in the run; the end of the cosine. Later it stays where it is.
        warmup_steps: updates from 0 up to the peak; with 0 it begins at the peak.
        final_scale: the end as a fraction of the peak.

    Raises:
        ConfigError: where the warm-up is no shorter than the run.
    """
    if warmup_steps >= total_steps:
        raise ConfigError(
            f"schedule.warmup_steps: expected less than the {total_steps} steps of the run, "
            f"found {warmup_steps}; lower it or train longer"
        )
    if warmup_steps == 0:
        return optax.cosine_decay_schedule(learning_rate, total_steps, alpha=final_scale)
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=learning_rate,
        warmup_steps=warmup_steps,
        decay_steps=total_steps,
        end_value=final_scale * learning_rate,
    )
