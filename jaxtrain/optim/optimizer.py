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
from jaxtrain.optim.groups import REST, grouped
from jaxtrain.optim.lookahead import lookahead
from jaxtrain.optim.registry import OPTIMIZERS, SCHEDULES


def make_optimizer(
    optimizer: pydantic.BaseModel, schedule: pydantic.BaseModel, total_steps: int
) -> optax.GradientTransformation:
    """Build the schedule, and the optimizer that follows it; of each group one of its own.

    Args:
        optimizer: a section with `name`, `learning_rate` (the peak) and the optimizer's options;
            it may have `groups` of parameters with other options, and `lookahead`.
        schedule: a section with `name` and the schedule's options.
        total_steps: updates of the parameters in the whole run.

    Raises:
        UnknownNameError: where no registry knows a name.
        ConfigError: where an option does not fit `total_steps`.
    """

    def build(section: pydantic.BaseModel) -> optax.GradientTransformation:
        peak: float = section.learning_rate  # type: ignore[attr-defined]
        rate = SCHEDULES.build(schedule, learning_rate=peak, total_steps=total_steps)
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
