"""A list of components, which is short for a section that has each of them under its own name.

metrics: [loss, {name: accuracy, top_k: 5}]
metrics: {loss: {}, accuracy: {name: accuracy, top_k: 5}}          # the same

Lists can't be laid on each other key by key, sections can; so a list becomes a section before
another layer lies on it, and before it is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtrain.errors import ConfigError


def by_name(items: Any) -> dict[str, Any] | None:
    """The section that the list `items` is short for; None where it is no list of components.

    Raises:
        ConfigError: where a name is there twice.

    >>> by_name(("loss", {"name": "accuracy", "top_k": 5}))
    {'loss': {}, 'accuracy': {'name': 'accuracy', 'top_k': 5}}
    >>> by_name((64, 64)) is None
    True
    """
    if not isinstance(items, (list, tuple)):
        return None
    section: dict[str, Any] = {}
    for item in items:
        name = item.get("name") if isinstance(item, Mapping) or hasattr(item, "get") else item
        if not isinstance(name, str):
            return None
        if name in section:
            raise ConfigError(
                f"{name!r} is there twice; write a section, and give each a key of its own: "
                f"{{first: {{name: {name}}}, second: {{name: {name}}}}}"
            )
        section[name] = {} if item is name else item
    return section
