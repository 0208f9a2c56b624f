"""YAML in and out, by the rules a config needs.

    values, lines = read("lr: 3e-4\n", "x.yaml")      # {"lr": 0.0003}, {("lr",): 1}
    dumps_plain({"lr": 3e-4, "hidden": (64, 64)})     # "lr: 0.0003\nhidden: [64, 64]\n"

Scalars follow YAML 1.2's core schema (https://yaml.org/spec/1.2.2, section 10.3), not PyYAML's 1.1:
`3e-4` is a number, `no`, `12:30` and `2024-01-01` are text. Nothing is ever constructed from a tag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from jaxtrain.errors import ConfigError

Lines = dict[tuple[str, ...], int]

# A config has some hundred nodes. Aliases are counted each time they are used, so this is what
# stops nine lines of YAML from becoming 9**9 values.
MAX_NODES = 10_000

_TAG = "tag:yaml.org,2002:"


class _CoreScalars:
    """YAML 1.2's core scalars; shared, so that what is written is quoted where reading needs it."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own interface)
        None: [
            (_TAG + "null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
            (_TAG + "bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
            (_TAG + "int", re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
            (
                _TAG + "float",
                re.compile(
                    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
                    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
                ),
            ),
        ]
    }


class _Loader(_CoreScalars, yaml.SafeLoader):
    """Composes nodes with their lines; constructs nothing."""

    def __init__(self, text: str, source: str, notation: str) -> None:
        super().__init__(text)
        self._source = source
        self._notation = notation

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        line = event.start_mark.line + 1
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ConfigError(
                f"{self._source}:{line}: tags are refused in {self._notation}, found {tag!r}; "
                "remove it"
            )
        if self._notation != "YAML" and event.anchor is not None:
            raise ConfigError(
                f"{self._source}:{line}: anchors and aliases are not part of {self._notation}, "
                f"found {event.anchor!r}; write the value out"
            )
        return super().compose_node(parent, index)


class _Dumper(_CoreScalars, yaml.SafeDumper):
    """Lists on one line, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_flow_list(self, data: Any) -> Any:
        return self.represent_sequence(_TAG + "seq", data, flow_style=True)

    def represent_text(self, data: str) -> Any:
        # Outside double quotes PyYAML loses line separators such as U+0085.
        return self.represent_scalar(_TAG + "str", data, style=None if data.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(list, _Dumper.represent_flow_list)
_Dumper.add_representer(tuple, _Dumper.represent_flow_list)


def read(text: str, source: str, *, notation: Literal["YAML", "SDN"] = "YAML") -> tuple[Any, Lines]:
    """The value written in `text`, and the line of every key by its path.

    Args:
        text: one YAML document.
        source: the file's name, for messages.
        notation: "SDN" is YAML without `&anchor` and `*alias`; messages call it by its name.

    Raises:
        ConfigError: names `source` and the line: a syntax error, a duplicate key, a tag, a key
            that is not text, more than `MAX_NODES` values once aliases are written out.
    """
    try:
        root = _Loader(text, source, notation).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = source if mark is None else f"{source}:{mark.line + 1}"
        raise ConfigError(
            f"{place}: not valid {notation}: {error.problem or error.context}"
        ) from error
    except yaml.reader.ReaderError as error:  # a character that no text has
        place = f"{source}:{text.count(chr(10), 0, error.position) + 1}"
        raise ConfigError(
            f"{place}: not valid {notation}: {error.reason}, found {chr(error.character)!r}"
        ) from error
    lines: Lines = {}
    return (None if root is None else _Builder(source, lines).value(root, ())), lines


def dumps_plain(values: Mapping[str, Any]) -> str:
    """`values` as YAML that `read` takes back unchanged (lists become tuples).

    Raises:
        ConfigError: where a value is not text, a number, a bool, None, a list or a mapping.
    """
    _refuse_objects(values, "")
    return yaml.dump(
        values,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=100,
    )


class _Builder:
    """Turns composed nodes into values, once each time they are used."""

    def __init__(self, source: str, lines: Lines) -> None:
        self._source = source
        self._lines = lines
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(node, f"more than {MAX_NODES} values once aliases are written out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._error(node, "a value that contains itself")
        self._open.add(id(node))
        value = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else tuple(self.value(item, path) for item in node.value)
        )
        self._open.remove(id(node))
        return value

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, path)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise self._error(key_node, f"a key must be text, found {key!r}; put it in quotes")
            dotted = ".".join((*path, key))
            if key == "<<":
                raise self._error(key_node, "merge keys (<<) are not supported; write the keys out")
            if key in mapping:
                raise self._error(
                    key_node,
                    f"{dotted}: duplicate key, first set on line {first[key]}; remove one",
                )
            first[key] = line
            self._lines.setdefault((*path, key), line)
            mapping[key] = self.value(value_node, (*path, key))
        return mapping

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return node.value.lower() == "true"
        if kind == "int":
            try:
                return int(node.value, 0 if node.value[:2] in ("0x", "0o") else 10)
            except ValueError as error:  # Python reads no more than some thousand digits
                raise self._error(node, f"not a number that can be read: {error}") from error
        if kind == "float":
            text = node.value.lower()
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        return node.value

    def _error(self, node: yaml.Node, text: str) -> ConfigError:
        return ConfigError(f"{self._source}:{node.start_mark.line + 1}: {text}")


def _refuse_objects(value: Any, key: str) -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            _refuse_objects(item, f"{key}.{name}" if key else name)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_objects(item, key)
    elif value is not None and type(value) not in (str, int, float, bool):
        raise ConfigError(
            f"{key}: expected text, a number, true, false or null, found {value!r} "
            f"({type(value).__name__}); a config file can hold nothing else"
        )
