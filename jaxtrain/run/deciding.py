"""What of a config decides the figures of a run, and so can't change while it goes on.

    differing({"seed": 0, "workdir": "a"}, config)       # [("seed", 0, 5)]: there, now

A run's config stands in every one of its checkpoints, and for people in its config.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jaxtrain.config import (
    MISSING,
    ExperimentConfig,
    ScheduleSection,
    diff,
    non_defaults,
    to_dict,
)
from jaxtrain.hooks import HOOKS

Difference = tuple[str, Any, Any]

# What may change between two sittings of one run: none of it has a part in the figures, but for a
# hook that says so of itself.
_MAY_CHANGE_IN_A_RUN = {
    "workdir",
    "project",
    "device",
    "mesh",
    "distributed",
    "hooks",
    "tracking",
    "start.path",
    "checkpoint.every",
    "checkpoint.every_epochs",
    "checkpoint.keep",
    "checkpoint.keep_best",
    "checkpoint.asynchronous",
    "data.root",
    "data.cache",
    "data.download",
    "data.mirror",
    "data.prefetch",
    "data.workers",
}

# These say at each step how far to go; the others know where they end.
_NEVER_STRETCHED = {"constant", "step", "multi_step", "exponential", "sgdr"}


def differing(before: Mapping[str, Any], config: ExperimentConfig) -> list[Difference]:
    """Each deciding key that was another: `(dotted key, what it was, what it is)`.

    Two are no difference. A key that `before` does not know has come since: its default is what
    was. And where no schedule is stretched by it, a run may simply get longer.

    Args:
        before: as `to_dict` gave it when the run was begun, in whatever order.
        config: of now.
    """
    told = {key for key, _, _ in non_defaults(config)}
    found = []
    for key, old, new in diff(_deciding(before), _deciding(to_dict(config))):
        is_new = old is MISSING and not any(f"{t}.".startswith(f"{key}.") for t in told)
        # Parts of a mixture stand there as they were written, and none by default.
        is_new = is_new and not key.startswith("data.parts.")
        longer = (
            key == "train.epochs"
            and not is_stretched(config.schedule)
            and isinstance(old, int)
            and not isinstance(old, bool)
            and new >= old
        )
        if not (is_new or longer):
            found.append((key, old, new))
    return found


def is_stretched(schedule: ScheduleSection) -> bool:
    """Whether the learning rate at some step depends on how many there are in all."""
    return schedule.name not in _NEVER_STRETCHED or bool(schedule.warmup_fraction)


def decides(key: str, config: ExperimentConfig) -> bool:
    """Whether a dotted key has a part in the figures."""
    first, _, rest = key.partition(".")
    name = rest.partition(".")[0]
    if first == "hooks" and name in config.hooks:
        return hook_decides(config.hooks[name].name)
    return not is_free(key)


def hook_decides(name: Any) -> bool:
    """Whether a hook changes what is learnt, as few do: they say so in `decides`."""
    return name in HOOKS.names() and bool(getattr(HOOKS[name], "decides", False))


def is_free(key: str) -> bool:
    """Whether a dotted key, or a section around it, is free to change."""
    parts = key.split(".")
    return any(_may_change(".".join(parts[:depth])) for depth in range(1, len(parts) + 1))


def _may_change(key: str) -> bool:
    """A part of a mixture is a section like `data`."""
    return re.sub(r"^data\.parts\.[^.]+\.", "data.", key) in _MAY_CHANGE_IN_A_RUN


def _deciding(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The config without what is free to change."""
    found = {
        key: _deciding(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in config.items()
        if not _may_change(prefix + key)
    }
    hooks = config.get("hooks")
    if not prefix and isinstance(hooks, Mapping):
        own = {
            key: section
            for key, section in hooks.items()
            if isinstance(section, Mapping) and hook_decides(section.get("name", key))
        }
        found |= {"hooks": own} if own else {}
    return found
