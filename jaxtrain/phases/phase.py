"""A phase as it is written: a section that overrides what stands above the phases.

    phase = phase_of("medical", {"data": {...}, "replay": {"share": 0.2}}, common, ["korean"])
    phase.tree, phase.replay

What is read here is checked as a whole by `PhasedConfig`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from jaxtrain.config import ConfigDict, merge
from jaxtrain.config.fields import describe
from jaxtrain.config.tree import Tree
from jaxtrain.data import SOURCES
from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.files.names import PATTERN
from jaxtrain.phases.replay import BASE, Replay

OWN_KEYS = ("base", "phases", "joint", "retention")
"""What no phase inherits of what stands above it."""

_OF_A_PHASE = "replay"

# What a section `data` says of batches, and not of rows.
_BATCHING = (
    "batch_size",
    "eval_batch_size",
    "validation_fraction",
    "last_batch",
    "shuffle",
    "prefetch",
)
_PLACES = ("root", "cache")


@dataclass(frozen=True)
class Phase:
    """A phase as it was written.

    Args:
        name: of the phase, and of the task that it trains.
        tree: of an `ExperimentConfig`, with what stands above the phases.
        replay: of what comes before; None for none.
    """

    name: str
    tree: ConfigDict
    replay: Replay | None = None


def phase_of(name: str, own: Any, common: Tree, before: list[str]) -> Phase:
    """A section below `phases`, or `base`, read.

    Args:
        name: its key.
        own: the section.
        common: what stands above it.
        before: the names of what comes before it.

    Raises:
        ConfigError: a name that none can have, a key that is not its own, or a wrong `replay`.
    """
    if not re.fullmatch(PATTERN, name) or (name == BASE and before):
        raise ConfigError(f"phases.{name}: a phase can't be called so")
    if not isinstance(own, Mapping | ConfigDict):
        raise ConfigError(f"phases.{name}: expected a section, found {own!r}")
    for key in ("project", "workdir", "plugins", "seed", *OWN_KEYS):
        if key in own and key != "seed":
            raise ConfigError(f"phases.{name}.{key}: stands above the phases, for all of them")
    rest = merge({key: value for key, value in own.items() if key != _OF_A_PHASE})
    replay = None
    if own.get(_OF_A_PHASE) is not None:
        replay = checked_section(Replay, own[_OF_A_PHASE], f"phases.{name}.{_OF_A_PHASE}")
        if not before:
            raise ConfigError(f"phases.{name}.replay: there is nothing before it")
        for each in replay.of or ():
            if each not in before:
                raise ConfigError(
                    f"phases.{name}.replay.of: expected some of {', '.join(before)}, found {each!r}"
                )
    return Phase(name, merge(common, rest), replay)


def data_of(phase: Phase) -> dict[str, Any]:
    """The section `data` of a phase, without what is replayed."""
    return merge(phase.tree.get("data") or {}).to_dict()


def batching_of(data: Any) -> dict[str, Any]:
    """What a section `data` says of batches."""
    return {key: data[key] for key in _BATCHING if data is not None and key in data}


def with_places(other: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """Another section `data`, with where files lie of this one, as far as its source has such
    options and does not say them itself; so with the parts of a mixture.

    Rows that no phase trains on have nothing else of what stands above, and lie beside the others.
    """
    name, parts = other.get("name"), other.get("parts")
    known = SOURCES.options(name) if name in SOURCES.names() else ()
    places = {key: data[key] for key in _PLACES if data is not None and key in data}
    found = {key: value for key, value in places.items() if key in known} | dict(other)
    if name == "mixture" and isinstance(parts, Mapping):
        found["parts"] = {
            part: with_places(own, data) if isinstance(own, Mapping) else own
            for part, own in parts.items()
        }
    return found


def part_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """What it says of rows: a part of a mixture."""
    return {key: value for key, value in data.items() if key not in _BATCHING}


def checked_section(schema: Any, values: Any, where: str) -> Any:
    """A section of this room, checked.

    Raises:
        ConfigError: what is wrong with it, by the keys below `where`.
    """
    try:
        plain = values.to_dict() if isinstance(values, ConfigDict) else values
        return schema.model_validate(plain)
    except pydantic.ValidationError as error:
        lines = []
        for one in error.errors():
            key = ".".join([where, *map(str, one["loc"])])
            name = str(one["loc"][0]) if one["loc"] else ""
            known = schema.model_fields
            if one["type"] == "extra_forbidden":
                lines.append(f"{key}: unknown key{did_you_mean(name, known)}")
            elif name in known:
                lines.append(f"{key}: expected {describe(known[name])}, found {one['input']!r:.80}")
            else:
                lines.append(f"{key}: expected a section, found {one['input']!r:.80}")
        raise ConfigError("\n".join(lines)) from None
