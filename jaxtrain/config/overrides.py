"""Overrides from the command line: `optimizer.learning_rate=3e-4`.

    over = from_cli_dotlist(["optimizer.learning_rate=3e-4", "model.hidden=[64,64]"])
    config = merge(load("configs/digits.py"), over)

A value is read as YAML, and may be a section: `model={name: linear, bias: false}`. Its text is kept
beside it: when the config is checked, a field that takes text gets the text as it stood
(`project=007`), and one that takes a list also accepts `64,64`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jaxtrain.config import yaml_form
from jaxtrain.config.tree import ConfigDict, Origin, set_origin, stamp
from jaxtrain.errors import ConfigError

SOURCE = "command line"


def from_cli_dotlist(items: Iterable[str]) -> ConfigDict:
    """The tree that `key=value` items describe; of two items for one key the later one wins.

    >>> from_cli_dotlist(["model.hidden=[64, 64]", "model.name=mlp"]).to_dict()
    {'model': {'hidden': (64, 64), 'name': 'mlp'}}

    Raises:
        ConfigError: where an item is not `dotted.key=value`, or treats a value as a section.
    """
    tree = ConfigDict()
    texts: list[tuple[ConfigDict, str, str]] = []
    for item in items:
        dotted, equals, text = item.partition("=")
        path = dotted.split(".")
        if not equals or not all(path):
            raise ConfigError(f"{SOURCE}: expected dotted.key=value, found {item!r}")
        node = tree
        for depth, section in enumerate(path[:-1], start=1):
            if section not in node:
                node[section] = ConfigDict()
            node = node[section]
            if not isinstance(node, ConfigDict):
                raise ConfigError(
                    f"{SOURCE}: {item!r} sets a key in {'.'.join(path[:depth])!r}, "
                    f"which another override sets to {node!r}"
                )
        try:
            _put(node, path[-1], parse(text))
        except ConfigError as error:  # a key with a dot in it, inside of a section
            raise ConfigError(f"{SOURCE}: {item!r}: {error}") from error
        texts.append((node, path[-1], text))
    for node, key, text in texts:  # of one key the last
        set_origin(node, key, Origin(SOURCE, text=text))
    stamp(tree, SOURCE)
    return tree


def _put(node: ConfigDict, key: str, value: Any) -> None:
    """Set a key, or each key of a section, beside what earlier items have set there."""
    if isinstance(value, dict) and isinstance(node.get(key), ConfigDict):
        for name, item in value.items():
            _put(node[key], name, item)
    else:
        node[key] = value


def parse(text: str) -> Any:
    """`text` read as a YAML value, or `text` itself where it is none.

    >>> parse("3e-4"), parse("null"), parse("[1, 2"), parse("adamw")
    (0.0003, None, '[1, 2', 'adamw')
    """
    try:
        return yaml_form.read(text, SOURCE)[0]
    except ConfigError:
        return text  # a field that takes text may want it; any other will refuse it by name
