"""Where the config of a run is not the default, as its files say it: nothing of JAX is imported.

    changed(record)                        # {"train.epochs": 30, "model.hidden": [64]}

A run says in its metadata.json which keys those are. One of an older version does not: then all of
it is compared with the defaults that every config has, and options of components, whose defaults
only the components know, stand there all the same. What a script has given is all its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jaxtrain.tracking import RunRecord


def changed(record: RunRecord) -> dict[str, Any]:
    """The values that are not at their default, by dotted keys; None for a default taken away."""
    noted = record.metadata.get("changed")
    if isinstance(noted, list):
        return {str(key): _at(record.config, str(key)) for key in noted}
    found = dict(leaves(record.config))
    if not (record.path / "config.yaml").is_file():
        return found
    return {k: v for k, v in found.items() if k not in _defaults() or _defaults()[k] != v}


def told(value: Any) -> str:
    """A value as one types it in a config, or behind `--config.KEY=`.

    >>> told(None), told([64, 0.5]), told("adamw"), told(True)
    ('null', '[64, 0.5]', 'adamw', 'true')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def leaves(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value by its dotted key, in their order.

    >>> dict(leaves({"a": {"x": 1, "y": {}}, "b": [2]}))
    {'a.x': 1, 'a.y': {}, 'b': [2]}
    """
    waiting = list(config.items())[::-1]
    while waiting:  # not recursive: a file may be as deep as it likes
        key, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting.extend((f"{key}.{inner}", v) for inner, v in list(value.items())[::-1])
        else:
            yield key, value


def _at(config: Mapping[str, Any], key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


@cache
def _defaults() -> dict[str, Any]:
    from jaxtrain.config import ExperimentConfig

    found: dict[str, Any] = {}
    for key, field in ExperimentConfig.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        fields = {key: field} if inner is None else {f"{key}.{k}": f for k, f in inner.items()}
        for dotted, one in fields.items():
            if not one.is_required():
                default = one.get_default(call_default_factory=True)
                found[dotted] = list(default) if isinstance(default, tuple) else default
    return found
