"""What a user writes: a tree of keys and values that may still be changed.

    config = ConfigDict({"model": {"name": "mlp", "hidden": [64, 64]}})
    config.model.hidden = [128]
    config.get("model.dropout", 0.0)                  # 0.0
    config = merge(config, {"seed": 1})               # a new tree
    config.freeze()                                   # from here on a write is an error

Each node remembers where its keys came from (`Origin`), so that a later error can name the file
and the line. The schema, not the tree, says which types are right.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import ml_collections
from ml_collections.config_dict import FieldReference

from jaxtrain.config.by_name import by_name
from jaxtrain.config.plain import as_plain
from jaxtrain.config.yaml_form import dumps_plain
from jaxtrain.errors import ConfigError, FrozenConfigError

Tree: TypeAlias = "Mapping[str, Any] | ml_collections.ConfigDict"


@dataclass(frozen=True)
class Origin:
    """Where a key was set: `configs/digits.yaml:12`, `configs/digits.py` or `command line`.

    Attributes:
        source: a file as the user named it, or `command line`.
        line: counted from 1; None where the form does not tell.
        text: what stood on the command line, before it was read as a value.
    """

    source: str
    line: int | None = None
    text: str | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


class ConfigDict(ml_collections.ConfigDict):
    """An `ml_collections.ConfigDict` that freezes and remembers where its keys came from.

    Three differences: any type may replace any other (the schema checks, with better messages),
    keys keep their order, and lists become tuples, so that a frozen tree is frozen all the way
    down. A copy (`ConfigDict(config)`, `merge`, `copy.deepcopy`) is not frozen.

    >>> config = ConfigDict({"model": {"name": "mlp", "hidden": [64, 64]}})
    >>> config.model.hidden
    (64, 64)
    >>> config.get("model.dropout.rate", 0.5)
    0.5
    """

    _frozen_at: str | None
    _origins: dict[str, Origin]
    _superseded: dict[str, str | None]

    def __init__(self, initial: Tree | None = None) -> None:
        object.__setattr__(self, "_frozen_at", None)
        object.__setattr__(self, "_origins", {})
        object.__setattr__(self, "_superseded", {})
        super().__init__(type_safe=False, sort_keys=False)
        for key, value in (initial or {}).items():
            self[key] = _copied(value)
        if isinstance(initial, ConfigDict):
            self._origins.update(initial._origins)
            self._superseded.update(initial._superseded)

    def __setitem__(self, key: str, value: Any) -> None:
        self._refuse_if_frozen(key)
        if not isinstance(key, str) or not key or "." in key:
            raise ConfigError(
                f"a config key is text without dots, found {key!r}; "
                "nest sections instead of writing 'a.b', quote a key that is a number"
            )
        if key == "name" and value != self.get("name"):
            self._supersede(self._origins)  # what the same hand writes has no origin yet
        if key in self._fields and not isinstance(self._fields[key], FieldReference):
            self._fields[key] = _owned(value)  # the base would turn an int over a float into one
        else:
            super().__setitem__(key, _owned(value))
        self._origins.pop(key, None)  # the value is no longer the file's
        if value is not None:  # None over an option of a component that is gone gives it up as well
            self._superseded.pop(key, None)

    def __delitem__(self, key: str) -> None:
        self._refuse_if_frozen(key)
        super().__delitem__(key)
        self._origins.pop(key, None)
        self._superseded.pop(key, None)

    def get_ref(self, key: str) -> FieldReference:
        """A reference to a field; writing through it changes the field."""
        self._refuse_if_frozen(key)
        return super().get_ref(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value under the dotted `key`, or `default` where any part of it is missing."""
        node: Any = self
        for part in key.split("."):
            if not isinstance(node, ConfigDict) or part not in node:
                return default
            node = node[part]
        return node

    def update(self, *other: Any, **values: Any) -> None:
        """As of `ml_collections`: section by section."""
        self._refuse_if_frozen(", ".join(values) or "...")
        super().update(*other, **values)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As of a dict."""
        self._refuse_if_frozen(key)
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """As of a dict."""
        self._refuse_if_frozen(key)
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """As of a dict: the last key."""
        self._refuse_if_frozen("...")
        if not len(self):
            raise KeyError("popitem(): the config is empty")
        key = list(self)[-1]
        return key, self.pop(key)

    def clear(self) -> None:
        """As of a dict."""
        self._refuse_if_frozen("...")
        for key in list(self):
            del self[key]

    def freeze(self) -> ConfigDict:
        """Make every later write a `FrozenConfigError` that says where this call stood."""
        self._freeze(_caller())
        return self

    def to_dict(self, visit_map: Any = None, preserve_field_references: bool = False) -> dict:
        """Plain nested dicts, lists as tuples, references resolved. The arguments are ignored."""
        return {key: _plain(value) for key, value in _items(self)}

    def __repr__(self) -> str:
        return f"ConfigDict({self.to_dict()!r})"

    def __str__(self) -> str:
        return dumps_plain(self.to_dict())

    def _supersede(self, keys: Iterable[str]) -> None:
        """Note that `keys` were set for the component that `name` still says, soon another one."""
        for key in keys:
            if key != "name":
                self._superseded.setdefault(key, self.get("name"))

    def _freeze(self, place: str) -> None:
        if self._frozen_at is not None:
            return
        for key, value in _items(self):
            self._fields[key] = value  # a reference could still be written through: resolve it
            for section in _sections(value):
                section._freeze(place)
        object.__setattr__(self, "_frozen_at", place)

    def _refuse_if_frozen(self, key: object) -> None:
        if self._frozen_at is not None:
            raise FrozenConfigError(
                f"cannot write {key!r}: the config was frozen at {self._frozen_at}; "
                "change a copy, merge(config, {...})"
            )


def from_dict(mapping: Tree) -> ConfigDict:
    """A tree with the keys and values of `mapping`, copied.

    Raises:
        ConfigError: where a key is not text or has a dot in it, or `mapping` is no mapping.
    """
    if not isinstance(mapping, ConfigDict):
        mapping = as_plain(mapping)
    if not isinstance(mapping, (Mapping, ml_collections.ConfigDict)):
        raise ConfigError(f"a config is a mapping of keys to values, found {mapping!r}")
    return ConfigDict(mapping)


def merge(base: Tree, *over: Tree) -> ConfigDict:
    """A new tree: `base` with each of `over` laid on it, section by section, later ones winning.

    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"b": None}).to_dict()
    {'a': {'x': 1, 'y': 3}, 'b': None}
    """
    merged = from_dict(base)
    for layer in over:
        _lay(merged, from_dict(layer))
    return merged


def freeze(config: ConfigDict) -> ConfigDict:
    """`config`, frozen: every later write is an error that says where this call stood."""
    return config.freeze()


def stamp(
    tree: ConfigDict, source: str, lines: Mapping[tuple[str, ...], int] | None = None
) -> None:
    """Note `source` as the origin of every key that has none yet; `lines` is by path of keys."""
    _stamp(tree, source, lines or {}, ())


def origin_of(tree: ConfigDict, path: Sequence[str]) -> Origin | None:
    """Where the key at `path` was set, or the nearest section around it that is there."""
    node: Any = tree
    origin = None
    for key in path:
        if not isinstance(node, ConfigDict) or key not in node:
            break
        origin = node._origins.get(key, origin)
        node = node[key]
    return origin


def superseded(tree: ConfigDict) -> dict[str, str | None]:
    """The keys of `tree` that were there before a later layer gave it another `name`.

    Each with the name that it was set for; None where there was none yet. They may be options of a
    component that is no longer used.

    >>> superseded(merge({"name": "mlp", "hidden": 3}, {"name": "linear", "bias": True}))
    {'hidden': 'mlp'}
    """
    return {key: name for key, name in tree._superseded.items() if key in tree}


def set_origin(tree: ConfigDict, key: str, origin: Origin) -> None:
    """Note where `key`, one of `tree`'s own, was set."""
    tree._origins[key] = origin


def _lay(target: ConfigDict, layer: ConfigDict) -> None:
    items = sorted(_items(layer), key=lambda item: item[0] != "name")
    if "name" in layer and layer["name"] != target.get("name"):
        target._supersede(target)
    for key, value in items:
        below = by_name(target.get(key)) if isinstance(value, ConfigDict) else None
        if below is not None:
            target[key] = below
        if isinstance(value, ConfigDict) and isinstance(target.get(key), ConfigDict):
            _lay(target[key], value)
        else:
            target[key] = value
        if key in layer._origins:
            target._origins[key] = layer._origins[key]


def _stamp(
    node: ConfigDict, source: str, lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]
) -> None:
    for key, value in _items(node):
        node._origins.setdefault(key, Origin(source, lines.get((*path, key))))
        if isinstance(value, ConfigDict):
            _stamp(value, source, lines, (*path, key))


def _items(tree: ConfigDict) -> list[tuple[str, Any]]:
    """Keys and values, references resolved."""
    return [(key, _owned(value)) for key, value in tree.items()]


def _owned(value: Any) -> Any:
    """`value` with mappings as `ConfigDict` and lists as tuples; a `ConfigDict` stays itself.

    What stands for one of these, such as a dataclass or an array, is that.
    """
    if isinstance(value, (ConfigDict, FieldReference)):
        return value
    value = as_plain(value)
    if isinstance(value, (Mapping, ml_collections.ConfigDict)):
        return ConfigDict(value)
    if isinstance(value, (list, tuple)):
        return tuple(_owned(item) for item in value)
    return value


def _copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_copied(item) for item in value)
    return ConfigDict(value) if isinstance(value, ConfigDict) else value


def _plain(value: Any) -> Any:
    if isinstance(value, ConfigDict):
        return value.to_dict()
    return tuple(_plain(item) for item in value) if isinstance(value, tuple) else value


def _sections(value: Any) -> Iterator[ConfigDict]:
    if isinstance(value, ConfigDict):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _sections(item)


def _caller() -> str:
    """`file:line` of the nearest frame outside this file."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename)}:{frame.f_lineno}"
