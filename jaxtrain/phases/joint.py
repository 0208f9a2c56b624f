"""The joint training: one run on the rows of all phases, about the best that phases can come to.

    joint: true                                       # beside `phases`
    joint: {train: {epochs: 40}, lora: {rank: 32}}    # as the last phase, but for what stands here

    joint_of(True, phases).tree

It begins with what the first phase begins with, and takes about as many steps as all phases
together. Nothing protects what comes before it, since nothing does; nothing is merged from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtrain.config import ConfigDict, merge
from jaxtrain.errors import ConfigError
from jaxtrain.phases.phase import OWN_KEYS, Phase, batching_of, data_of, part_of

JOINT = "joint"

_OF_THE_FIRST = ("model", "start", "seed")
_OF_ALL = ("data", "replay", "project", "workdir", "plugins", *OWN_KEYS)


def joint_of(given: Any, phases: Sequence[Phase]) -> Phase | None:
    """The section `joint`, as a phase that no other stands on; None where there is to be none.

    Args:
        given: true, or what is to be other than in the last phase.
        phases: all of them.

    Raises:
        ConfigError: it says what the phases say, or their rows can't be put together.
    """
    if given is None or given is False:
        return None
    if given is not True and not isinstance(given, Mapping | ConfigDict):
        raise ConfigError(
            f"joint: expected true, false or a section like that of a phase, found {given!r}"
        )
    own = merge({} if given is True else given)
    for key in (*_OF_THE_FIRST, *_OF_ALL):
        if key in own:
            raise ConfigError(f"joint.{key}: is said by the phases, or above them; leave it out")
    if own.get("lora.protect") is not None:
        raise ConfigError(
            "joint.lora.protect: nothing comes before it that it could forget; leave it out"
        )
    if own.get("lora.quantize") is not None:
        raise ConfigError(
            "joint.lora.quantize: the phases stand on floats, and so does a bound for them; leave "
            "it out"
        )
    if len(phases) < 2:
        raise ConfigError("joint: expected two phases or more to put together, found one")
    for phase in phases:
        if phase.name == JOINT:
            raise ConfigError(f"phases.{JOINT}: a phase beside a joint training can't be called so")
        if data_of(phase).get("stream"):
            raise ConfigError(
                f"joint: the data of phase {phase.name} are a stream, and rows that are put "
                "together are held in memory; take one of both"
            )
    return Phase(JOINT, merge(_without_order(phases), own))


def _without_order(phases: Sequence[Phase]) -> ConfigDict:
    """The last phase's tree, with the rows of all, and the model as it was before the first."""
    first, last = phases[0].tree, phases[-1].tree
    tree = merge(last)
    for key in _OF_THE_FIRST:
        tree.pop(key, None)
        if key in first:
            tree[key] = first[key]
    if isinstance(tree.get("lora"), ConfigDict):
        tree.lora.pop("protect", None)
    tree.pop("data", None)
    parts = {phase.name: part_of(data_of(phase)) for phase in phases}
    tree["data"] = {**batching_of(last.get("data")), "name": "mixture", "parts": parts}
    return tree
