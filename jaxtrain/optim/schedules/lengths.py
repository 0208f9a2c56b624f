"""Lengths of a schedule's parts, in updates.

in_steps(5, "epochs", 1000, 40, "schedule.every")           # 200
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from jaxtrain.errors import ConfigError

Unit: TypeAlias = Literal["steps", "epochs"]


def in_steps(
    length: float, unit: str, total_steps: int, steps_per_epoch: int | None, key: str
) -> int:
    """`length` as a whole number of updates, the nearest.

    Args:
        length: as the config has it.
        unit: "steps", "epochs", or "fraction": of `total_steps`.
        total_steps: updates in all.
        steps_per_epoch: updates an epoch.
        key: of the config, for messages.

    Raises:
        ConfigError: it comes to no update, or nobody has said how long an epoch is.
    """
    if unit == "steps":
        return int(length)
    if unit == "epochs" and steps_per_epoch is None:
        raise ConfigError(
            f"{key}: counts epochs, and how many steps one has was not given; give "
            "make_optimizer steps_per_epoch=, or count steps"
        )
    steps = round(length * (total_steps if unit == "fraction" else steps_per_epoch or 0))
    if steps < 1:
        raise ConfigError(
            f"{key}: expected one step at least, found {length:g}, which comes to none; raise it "
            "or train longer"
        )
    return steps
