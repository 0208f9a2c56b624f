"""What two configs, or a config and its defaults, do not have in common.

for key, before, after in diff(load("a.yaml"), load("b.yaml")):
    print(f"{key}: {before} -> {after}")
non_defaults(config)                      # [("train.epochs", 10, 30), ("model.name", ...)]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import pydantic

from jaxtrain.config.output import to_dict
from jaxtrain.config.schema import DEFAULT_HOOKS, ExperimentConfig, Section
from jaxtrain.config.tree import ConfigDict, Tree


class _Missing:
    def __repr__(self) -> str:
        return "(not set)"


MISSING: Final = _Missing()
"""Stands in a difference for the side that does not have the key. Prints as `(not set)`."""

Difference: TypeAlias = tuple[str, Any, Any]


def diff(a: Tree | Section, b: Tree | Section) -> list[Difference]:
    """`(dotted key, value in a, value in b)` for every key whose values differ.

    >>> diff({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3, "z": None}})
    [('a.y', 2, 3), ('a.z', (not set), None)]
    """
    left, right = (ConfigDict(to_dict(side)).to_dict() for side in (a, b))
    return list(_diff(left, right, ""))


def non_defaults(config: ExperimentConfig) -> list[Difference]:
    """`(dotted key, default, value)` for every option that is not at its default.

    An option of a component is compared with that component's own default. One that has none, and
    a hook that is there only because somebody asked for it, have `MISSING` as their default. A
    hook of the default ones that was switched off has None as its value.

    >>> non_defaults(ExperimentConfig(seed=3))
    [('seed', 0, 3)]
    """
    return list(_from_defaults(config, ""))


def _diff(left: Mapping[str, Any], right: Mapping[str, Any], prefix: str) -> Any:
    for key in [*left, *(key for key in right if key not in left)]:
        a, b = left.get(key, MISSING), right.get(key, MISSING)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _diff(a, b, f"{prefix}{key}.")
        elif a != b or isinstance(a, bool) is not isinstance(b, bool):  # True == 1
            yield f"{prefix}{key}", a, b


def _from_defaults(section: pydantic.BaseModel, prefix: str) -> Any:
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Section):
            found = list(_from_defaults(value, f"{prefix}{key}."))
            yield from found
            if not found and not field.is_required() and field.get_default() is None:
                yield f"{prefix}{key}", None, to_dict(value)  # that it is there is a difference
        elif prefix == "" and key == "hooks":
            for name in DEFAULT_HOOKS:
                if name not in value:
                    yield f"hooks.{name}", name, None
            for name, hook in value.items():
                for dotted, default, found in _from_defaults(hook, f"hooks.{name}."):
                    if dotted != f"hooks.{name}.name":
                        yield dotted, default, found
                    elif name not in DEFAULT_HOOKS or found != name:
                        yield dotted, name if name in DEFAULT_HOOKS else MISSING, found
        elif prefix == "" and key == "metrics" and value:
            for name, metric in value.items():
                yield f"metrics.{name}.name", MISSING, metric.name
                for dotted, default, found in _from_defaults(metric, f"metrics.{name}."):
                    if dotted != f"metrics.{name}.name":
                        yield dotted, default, found
        elif prefix == "optimizer." and key == "groups":
            for name, group in value.items():
                yield from _from_defaults(group, f"{prefix}groups.{name}.")
        else:
            default = MISSING if field.is_required() else field.get_default()
            if value != default:
                yield f"{prefix}{key}", default, value
