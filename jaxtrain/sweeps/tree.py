"""Dotted keys and trees.

nested({"optimizer.b1": 0.9})                # {"optimizer": {"b1": 0.9}}
dict(leaves({"optimizer": {"b1": 0.9}}))     # {"optimizer.b1": 0.9}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as a tree.

    >>> nested({"optimizer.b1": 0.9, "seed": 1})
    {'optimizer': {'b1': 0.9}, 'seed': 1}
    """
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *path, name = key.split(".")
        section = tree
        for part in path:
            section = section.setdefault(part, {})
        section[name] = value
    return tree


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a tree by dotted key."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
