"""A short config file with comments, in YAML.

config_text({"data": {"root": "birds"}}, {"data.root": "from where you train"})
# data:
#   root: birds  # from where you train
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jaxtrain.config.yaml_form import dumps_plain

_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEAD = "# What differs from the defaults. What else there is: python -m jaxtrain.main list\n"


def config_text(config: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """`config` as YAML.

    A section of numbers and plain words is one line, another one has a line a key.

    Args:
        config: plain values, as `dumps_plain` takes them.
        comments: by dotted key, what stands beside it; of a section that is not in `config`, a
            line of YAML that is offered.
    """
    parts = [_HEAD]
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            parts.append(_section(key, value, comments))
        else:
            parts.append(_entry(key, value, "", comments.get(key)))
    offered = comments.keys() - config.keys()
    parts += [f"# {comments[key]}\n" for key in sorted(offered) if "." not in key]
    return "".join(parts)


def _section(key: str, section: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    said = any(name.startswith(f"{key}.") for name in comments)
    if all(_is_plain(value) for value in section.values()) and key != "data":
        inside = ", ".join(dumps_plain({name: value}).strip() for name, value in section.items())
        line = f"{key}: {{{inside}}}"
        if len(line) <= _WIDTH and "\n" not in line and not said:
            return f"{line}\n"
    entries = (
        _entry(name, value, "  ", comments.get(f"{key}.{name}")) for name, value in section.items()
    )
    return f"{key}:\n" + "".join(entries)


def _entry(key: str, value: Any, indent: str, comment: str | None) -> str:
    lines = [indent + line for line in dumps_plain({key: value}).splitlines()]
    text = "\n".join(lines) + "\n"
    if comment is None:
        return text
    if len(lines) == 1 and len(lines[0]) + len(comment) + 4 <= _WIDTH:
        return f"{lines[0]}  # {comment}\n"
    return f"{indent}# {comment}\n{text}"


def _is_plain(value: Any) -> bool:
    """Whether a value reads the same inside of braces."""
    if isinstance(value, list | tuple):
        return all(type(item) in (int, float) for item in value)
    if isinstance(value, str):
        return _PLAIN.fullmatch(value) is not None
    return value is None or type(value) in (bool, int, float)
