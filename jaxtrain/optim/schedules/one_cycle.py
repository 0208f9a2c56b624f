"""Up to the peak and down again, far below the start.

    schedule: {name: one_cycle, peak_at: 0.3}

The learning rate alone: momentum, which the paper lets fall and rise against it, stays as it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.registry import SCHEDULES


@SCHEDULES.register("one_cycle")
def one_cycle(
    learning_rate: float,
    total_steps: int,
    *,
    peak_at: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.3,
    start_scale: Annotated[float, pydantic.Field(gt=0, le=1)] = 0.04,
    final_scale: Annotated[float, pydantic.Field(ge=0, le=1)] = 4e-6,
    shape: Literal["cosine", "linear"] = "cosine",
    three_phases: bool = False,
) -> optax.Schedule:
    """The 1cycle policy (Smith and Topin 2018, arXiv:1708.07120), as torch's OneCycleLR.

    Args:
        learning_rate: the peak.
        total_steps: updates in all. Later it stays where it is.
        peak_at: when the peak is reached, as a fraction of all updates.
        start_scale: the beginning as a fraction of the peak; `1 / div_factor` in PyTorch.
        final_scale: the end as a fraction of the peak; in PyTorch
            `1 / (div_factor * final_div_factor)`.
        shape: of each phase.
        three_phases: down to the beginning in as many updates as up, and then to the end; otherwise
            from the peak to the end at once.

    Raises:
        ConfigError: a phase has no update.
    """
    ends = [peak_at * total_steps - 1, total_steps - 1.0]
    scales = [start_scale, 1.0, final_scale]
    if three_phases:
        ends.insert(1, 2 * peak_at * total_steps - 2)
        scales.insert(2, start_scale)
    begins = [0.0, *ends[:-1]]
    if any(end <= begin for begin, end in zip(begins, ends, strict=True)):
        raise ConfigError(
            f"schedule.peak_at: expected a step at least in each phase of {total_steps} steps, "
            f"found {peak_at:g}, which ends them at {', '.join(f'{end:g}' for end in ends)}"
            + ("; with three_phases it is at most about a half" if three_phases else "")
        )

    def schedule(count: jax.Array) -> jax.Array:
        now = jnp.minimum(count, total_steps - 1)
        phase = jnp.searchsorted(jnp.asarray(ends[:-1], jnp.float32), now, side="left")
        begin, end = (jnp.asarray(places, jnp.float32)[phase] for places in (begins, ends))
        first, last = (jnp.asarray(x, jnp.float32)[phase] for x in (scales[:-1], scales[1:]))
        gone, left = (now - begin) / (end - begin), (end - now) / (end - begin)
        if shape == "cosine":
            gone, left = (jnp.sin(0.5 * jnp.pi * share) ** 2 for share in (gone, left))
        return learning_rate * (first * left + last * gone)

    return schedule
