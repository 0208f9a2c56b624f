"""Warm-up: a line up to the peak, before any schedule.

    schedule: {name: step, every: 30, warmup_epochs: 5}

    warmed_up(optax.cosine_decay_schedule(0.1, 90), peak=0.1, steps=10)      # 100 in all

What begins with small steps, while the second moments are young and the batch statistics wrong, can
go on with larger ones (Goyal et al. 2017, arXiv:1706.02677, section 2.2).
"""

from __future__ import annotations

import optax
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.schedules.lengths import in_steps

_LENGTHS = ("warmup_steps", "warmup_epochs", "warmup_fraction")


def warmed_up(
    schedule: optax.ScalarOrSchedule, *, peak: float, steps: int, start: float = 0.0
) -> optax.Schedule:
    """`steps` updates from `start * peak` up in a line, then `schedule` from its beginning.

    Args:
        schedule: what comes after; a number stays.
        peak: what the line ends at, at the first update of the schedule.
        steps: of the warm-up, 1 at least.
        start: of the peak.
    """
    after = schedule if callable(schedule) else optax.constant_schedule(schedule)
    line = optax.linear_schedule(init_value=start * peak, end_value=peak, transition_steps=steps)
    return optax.join_schedules([line, after], [steps])


def warmup_length(
    schedule: pydantic.BaseModel, total_steps: int, steps_per_epoch: int | None
) -> int:
    """The updates of a section's warm-up; 0 where it asks for none.

    Raises:
        ConfigError: it is no shorter than the run, or shorter than an update, or said twice.
    """
    said = {key: getattr(schedule, key, 0) for key in _LENGTHS}
    said = {key: value for key, value in said.items() if value}
    if len(said) > 1:
        raise ConfigError(f"schedule: expected one of {', '.join(_LENGTHS)}, found {said}")
    if not said:
        return 0
    ((key, value),) = said.items()
    steps = in_steps(
        value, key.removeprefix("warmup_"), total_steps, steps_per_epoch, f"schedule.{key}"
    )
    if steps >= total_steps:
        is_steps = key == "warmup_steps"
        raise ConfigError(
            f"schedule.{key}: expected less than the {total_steps} steps of the run, "
            f"found {value}{'' if is_steps else f', which is {steps}'}; lower it or train longer"
        )
    return steps
