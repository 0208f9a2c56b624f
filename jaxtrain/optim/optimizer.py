"""The optimizer of a run, from its two sections of the config.

    tx = make_optimizer(config.optimizer, config.schedule, total_steps=4680)
    opt_state = tx.init(params)

The sections say what; `total_steps`, which a schedule may need, is known once the data is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optax
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.batch_scaling import peak_rate
from jaxtrain.optim.groups import REST, grouped
from jaxtrain.optim.lookahead import lookahead
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
    """Build the schedule, and the optimizer that follows it; of each group one of its own.

    Args:
        optimizer: a section with `name`, `learning_rate` (the peak), the optimizer's options and
            perhaps `batch_scaling`, `groups` of parameters with other options, and `lookahead`.
        schedule: a section with `name`, the schedule's options and perhaps a warm-up.
        total_steps: updates of the parameters in the whole run.
        steps_per_epoch: updates an epoch, for what counts epochs.
        batch_size: examples an update, for `batch_scaling`.

    Raises:
        UnknownNameError: where no registry knows a name.
        ConfigError: where an option does not fit `total_steps`, or what it needs is not given.
    """

    def build(section: pydantic.BaseModel) -> optax.GradientTransformation:
        rate = make_schedule(
            schedule, peak_rate(section, batch_size), total_steps, steps_per_epoch=steps_per_epoch
        )
        made: optax.GradientTransformation = OPTIMIZERS.build(section, learning_rate=rate)
        return made

    tx = build(optimizer)
    groups: Mapping[str, Any] = getattr(optimizer, "groups", {})
    if groups:
        own = {name: _group(optimizer, group, build) for name, group in groups.items()}
        tx = grouped({REST: tx, **own}, {name: patterns_of(g) for name, g in groups.items()})
    slow = getattr(optimizer, "lookahead", None)
    return tx if slow is None else lookahead(tx, every=slow.every, share=slow.share)


def patterns_of(group: Any) -> tuple[str, ...]:
    """The patterns of a group's section."""
    return (group.match,) if isinstance(group.match, str) else tuple(group.match)


def held_patterns(optimizer: Any) -> tuple[str, ...]:
    """The patterns of what an optimizer's section says is to stay as it is."""
    groups = optimizer.groups.values()
    return tuple(p for group in groups if group.freeze for p in patterns_of(group))


def _group(
    optimizer: pydantic.BaseModel,
    group: pydantic.BaseModel,
    build: Callable[[pydantic.BaseModel], optax.GradientTransformation],
) -> optax.GradientTransformation:
    """The optimizer of a group: what its section leaves null is as the optimizer's says."""
    said = {name: getattr(group, name) for name in type(group).model_fields}
    own = {n: v for n, v in said.items() if n not in ("match", "freeze") and v is not None}
    if group.freeze:  # type: ignore[attr-defined]
        if own:
            raise ConfigError(
                f"optimizer.groups: a group that is frozen has no {', '.join(own)}; leave it out"
            )
        return optax.set_to_zero()
    return build(optimizer.model_copy(update=own))


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
