"""JSON in, with the line of every key and no duplicates.

    values, lines = read('{"seed": 1}', "x.json")     # {"seed": 1}, {("seed",): 1}

Python's own parser judges the syntax; a second walk over its tokens finds the lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from jaxtrain.config.yaml_form import Lines
from jaxtrain.errors import ConfigError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+|\n')


def read(text: str, source: str) -> tuple[Any, Lines]:
    """The value written in `text`, and the line of every key by its path.

    Raises:
        ConfigError: names `source` and the line: a syntax error or a duplicate key.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{source}:{error.lineno}: not valid JSON: {error.msg}") from error
    except ValueError as error:  # Python reads no number of more than some thousand digits
        raise ConfigError(f"{source}: not valid JSON: {error}") from error
    lines: Lines = {}
    return _value(_tokens(text), (), lines, source), lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match[0] == "\n":
            line += 1
        else:
            yield match[0], line


def _value(
    tokens: Iterator[tuple[str, int]], path: tuple[str, ...], lines: Lines, source: str
) -> Any:
    token, _ = next(tokens)
    return _rest(token, tokens, path, lines, source)


def _rest(
    token: str,
    tokens: Iterator[tuple[str, int]],
    path: tuple[str, ...],
    lines: Lines,
    source: str,
) -> Any:
    if token == "{":
        mapping: dict[str, Any] = {}
        for token, line in tokens:
            if token == "}":
                break
            if token == ",":
                continue
            key = json.loads(token)
            if key in mapping:
                raise ConfigError(
                    f"{source}:{line}: {'.'.join((*path, key))}: duplicate key, first set on line "
                    f"{lines[(*path, key)]}; remove one"
                )
            lines[(*path, key)] = line
            next(tokens)  # the colon
            mapping[key] = _value(tokens, (*path, key), lines, source)
        return mapping
    if token == "[":
        items = []
        for token, _ in tokens:
            if token == "]":
                break
            if token != ",":
                items.append(_rest(token, tokens, path, lines, source))
        return tuple(items)
    return json.loads(token)
