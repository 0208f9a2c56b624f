"""What the members of a group begin with, or its shapes.

members = initial_members(group, places)       # every leaf [M, ...], but for what is in common
shapes = shapes_of(group, len(places))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.engine.device.members import InCommon, map_own
from jaxtrain.run.task import Task
from jaxtrain.step import TrainState
from jaxtrain.sweeps.groups import Group
from jaxtrain.sweeps.member import Member


def initial_members(group: Group, places: Sequence[int]) -> Member:
    """The members as they begin, each with the very numbers that a run of its config begins with.

    Args:
        group: theirs.
        places: which of them.
    """
    numbers = tuple(map(jnp.asarray, group.numbers.of_members(places)))
    keys = jnp.stack([jax.random.key(group.configs[place].seed) for place in places])
    parameters = group.task.parameters
    if group.has_common_base:
        each = _one_by_one(group, keys, numbers)
        base = InCommon(each[0].frozen)
        state = _stacked([one.replace(frozen=None) for one in each]).replace(frozen=base)
    elif parameters.reads_files or parameters.adapter is not None:
        # Files are read, and what an adapter begins with is looked at, outside of any trace.
        state = _stacked(_one_by_one(group, keys, numbers))
    else:
        make = _maker(group.task, group)
        state = jax.jit(lambda given: jax.lax.map(make, given))((keys, numbers))
    return Member.beginning(
        state,
        numbers,
        trains=jnp.ones(len(keys), bool),
        failed_at=jnp.zeros(len(keys), jnp.int32),
    )


def _one_by_one(group: Group, keys: Any, numbers: Sequence[jax.Array]) -> list[TrainState]:
    """The members' states; files are read once for all of them."""
    task = group.task
    task = dataclasses.replace(task, parameters=task.parameters.reading_once())
    make = _maker(task, group)
    return [make((keys[m], [slot[m] for slot in numbers])) for m in range(len(keys))]


def _stacked(each: Sequence[TrainState]) -> TrainState:
    made: TrainState = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    return made


def _maker(task: Task, group: Group) -> Callable[[tuple[jax.Array, Sequence[jax.Array]]], Any]:
    def make(given: tuple[jax.Array, Sequence[jax.Array]]) -> Any:
        key, mine = given
        with group.numbers.reading(mine):
            return task.initial_state(key)

    return make


def shapes_of(group: Group, count: int) -> Member:
    """The shapes of so many members of a group; no array is made."""
    one = Member.beginning(
        group.task.abstract_state(),
        tuple(jax.ShapeDtypeStruct((), slot.dtype) for slot in group.numbers.of_members()),
        trains=jax.ShapeDtypeStruct((), bool),
        failed_at=jax.ShapeDtypeStruct((), "int32"),
    )
    if group.has_common_base:
        one = one.replace(frozen=InCommon(one.frozen))
    return map_own(lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), one)
