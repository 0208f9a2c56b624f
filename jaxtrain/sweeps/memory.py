"""How many members of a group there is room for at once.

members_at_once(group)
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import psutil

from jaxtrain.engine.form import choose_form
from jaxtrain.sweeps.groups import Group

# A state and the best one so far, the ones that a step makes of it, and a gradient; of what is
# frozen there is one.
_STATES = 4
_SHARE = 0.5


def bytes_of_member(group: Group) -> int:
    """Bytes that one member takes on the device, activations left out."""
    state = group.task.abstract_state()
    own = 0 if group.has_common_base else _bytes_of(state.frozen)
    return own + _STATES * _bytes_of(state.replace(frozen=None))


def bytes_in_common(group: Group) -> int:
    """Bytes that all its members take together, however many they are."""
    return _bytes_of(group.task.abstract_state().frozen) if group.has_common_base else 0


def _bytes_of(tree: Any) -> int:
    return sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def room() -> int:
    """Bytes of the device's memory that members may take; on a CPU of what is free now."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(_SHARE * stats["bytes_limit"])
    return int(_SHARE * psutil.virtual_memory().available)


def members_at_once(group: Group) -> int:
    """At least one. Of a step that a CPU runs slowly in a loop one: they go one after the other."""
    if _is_alone(group):
        return 1
    left = max(0, room() - bytes_in_common(group))
    return max(1, min(len(group.members), left // max(1, bytes_of_member(group))))


def _is_alone(group: Group) -> bool:
    task = group.task
    form = group.configs[0].train.form
    if form != "auto":
        return form == "single"
    with group.numbers.discovering():
        traced = jax.make_jaxpr(task.train_step)(task.abstract_state(), task.data.example())
    return choose_form(traced, jax.default_backend()) == "single"
