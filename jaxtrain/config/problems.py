"""What is wrong with a tree, in a user's words: what was expected at a key, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtrain.config.fields import describe, fields_of
from jaxtrain.config.overrides import parse
from jaxtrain.config.tree import ConfigDict, Tree
from jaxtrain.errors import did_you_mean


def problem_of(detail: Any, schema: Any, tree: Tree) -> tuple[tuple[str, ...], str]:
    """The path of the field that pydantic complains about, and what to tell its user.

    Args:
        detail: one of the errors of a `pydantic.ValidationError`.
        schema: the model that was to be made.
        tree: what it was to be made from.
    """
    path: tuple[str, ...] = ()
    field = None
    fields = fields_of(schema)
    for part in map(str, detail["loc"]):  # a file's key may be a number
        if fields is None:
            break  # what follows is inside one value: an item of a list, a branch of a union
        path = (*path, part)
        if part not in fields:
            known = ", ".join(fields)
            return path, f"unknown key{did_you_mean(part, fields)} (known: {known})"
        field = fields[part]
        fields = fields_of(field.annotation)
    assert field is not None
    if detail["type"] == "missing" and len(path) == len(detail["loc"]):
        return path, f"missing; expected {describe(field)}"
    value = _value_at(tree, path)
    found = shown(value)
    quoted = isinstance(value, str) and type(parse(value)) in (int, float)
    if quoted and detail["type"] in ("int_type", "float_type"):
        found += ", which is text; take away the quotes"
    if detail["type"] == "value_error":  # a component's own validator, which may show the value
        text = detail["msg"].removeprefix("Value error, ")
        return path, text if found in text else f"{text}, found {found}"
    return path, f"expected {describe(field)}, found {found}"


def _value_at(tree: Tree, path: tuple[str, ...]) -> Any:
    value: Any = tree
    for key in path:
        if not isinstance(value, Mapping | ConfigDict):
            return None
        value = value.get(key)
    return value


def plain(value: Any) -> Any:
    """A value with its sections as dicts, in lists of them, too."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.to_dict() if isinstance(value, ConfigDict) else value


def shown(value: Any) -> str:
    """A value in few words, tuples as the lists that they were."""
    value = plain(value)
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
