"""TOML in, with the line of every key.

    values, lines = read("[train]\\nepochs = 3\\n", "x.toml")
    # {"train": {"epochs": 3}}, {("train",): 1, ("train", "epochs"): 2}

Python's own parser judges the syntax; a second walk over the text, which is right then, finds the
lines.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jaxtrain.config.yaml_form import Lines
from jaxtrain.errors import ConfigError

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[\n\[\]{},=.]"
    r"|[^\s\[\]{},=.#\"']+",
    re.DOTALL,
)
_PLACE = re.compile(r"(?P<said>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)


def read(text: str, source: str) -> tuple[dict[str, Any], Lines]:
    """The values written in `text`, and the line of every key by its path.

    Raises:
        ConfigError: names `source` and the line: a syntax error, a duplicate key, a date.
    """
    try:
        values = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(_told(error, text, source)) from error
    lines = dict(_Scan(text).keys())
    _refuse_dates(values, (), lines, source)
    return values, lines


def _told(error: ValueError, text: str, source: str) -> str:
    found = _PLACE.fullmatch(str(error))
    if found:
        place = f"{source}:{found['line']}:{found['column']}"
        return f"{place}: not valid TOML: {found['said']}"
    at_end = str(error).endswith("(at end of document)")
    place = f"{source}:{text.count(chr(10)) + 1}" if at_end else source
    return f"{place}: not valid TOML: {error}"


@dataclass
class _Token:
    text: str
    line: int


class _Scan:
    """Walks over the text of a valid document."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def keys(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """The path and line of every key, the first time that it comes."""
        seen: set[tuple[str, ...]] = set()
        for path, line in self._document():
            for depth in range(1, len(path) + 1):
                if path[:depth] not in seen:
                    seen.add(path[:depth])
                    yield path[:depth], line

    def _document(self) -> Iterator[tuple[tuple[str, ...], int]]:
        table: tuple[str, ...] = ()
        while token := self._next():
            if token.text == "\n":
                continue
            if token.text == "[":
                while self._peek() == "[":
                    self._next()
                table = tuple(self._key(self._next()))
                yield table, token.line
                while self._peek() == "]":
                    self._next()
            else:
                yield from self._pair(token, table)

    def _pair(self, token: _Token, table: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
        path = (*table, *self._key(token))
        yield path, token.line
        self._next()  # the =
        yield from self._value(path)

    def _value(self, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
        if self._peek() == "[":
            self._next()
            while (now := self._peek()) is not None and now != "]":
                if now in ("\n", ","):
                    self._next()
                else:
                    yield from self._value(path)
            self._next()
        elif self._peek() == "{":
            self._next()
            while (token := self._next()) and token.text != "}":
                if token.text not in ("\n", ","):
                    yield from self._pair(token, path)
        else:
            while self._peek() not in (None, "\n", ",", "]", "}"):
                self._next()

    def _key(self, token: _Token | None) -> Iterator[str]:
        """The parts of a dotted key that begins with `token`."""
        while token is not None:
            yield _unquoted(token.text)
            if self._peek() != ".":
                return
            self._next()
            token = self._next()

    def _peek(self) -> str | None:
        return self._tokens[self._at].text if self._at < len(self._tokens) else None

    def _next(self) -> _Token | None:
        if self._at == len(self._tokens):
            return None
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if not match[0].startswith("#"):
            yield _Token(match[0], line)
        line += match[0].count("\n")


def _unquoted(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    if not key.startswith('"'):
        return key
    try:
        return str(json.loads(key))
    except ValueError:  # an escape that JSON lacks: then its line is not known
        return key


def _refuse_dates(value: Any, path: tuple[str, ...], lines: Lines, source: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_dates(item, (*path, key), lines, source)
    elif isinstance(value, list):
        for item in value:
            _refuse_dates(item, path, lines, source)
    elif isinstance(value, (datetime.date, datetime.time)):
        place = f"{source}:{lines[path]}" if path in lines else source
        raise ConfigError(f"{place}: {'.'.join(path)}: put the date {value} in quotes")
