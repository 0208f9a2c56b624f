"""Records in a file: lines of JSON, or the rows of a table, all cells as text.

    for record in records(Path("medmcqa.jsonl.gz")):
        record.cell("question"), record.cells("options")
    records(Path("anatomy_test.csv"), columns=("question", "A", "B", "C", "D", "answer"))

`.jsonl` has an object a line. `.csv` is read with quotes, which may hold line ends; `.tsv` without,
as such files are written. Their first row has the names of the columns, unless they are given.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtrain.data.text.reading import text_lines
from jaxtrain.errors import ConfigError, DataError, did_you_mean

RECORD_ENDINGS = (".jsonl", ".csv", ".tsv")
"""How files of records end, `.gz` left aside."""


def holds_records(path: Path) -> bool:
    """Whether a file's name says that it holds records; else it is plain text."""
    return Path(path.name.removesuffix(".gz")).suffix in RECORD_ENDINGS


@dataclass(frozen=True)
class Record:
    """A record.

    Args:
        place: file and line, for messages.
        values: by name.
    """

    place: str
    values: Mapping[str, Any]

    def cell(self, name: str) -> str:
        """The text called `name`; a whole number as one.

        Raises:
            ConfigError: there is none of that name.
            DataError: it is something else.
        """
        value = self._value(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise DataError(
                f"{self.place}: {name!r}: expected text, found {_kind(value)} ({value!r:.60})"
            )
        return value

    def cells(self, name: str) -> tuple[str, ...]:
        """The texts called `name`: a list of them, or the lines of one.

        Raises:
            ConfigError: there is none of that name.
            DataError: it is something else.
        """
        value = self._value(name)
        if isinstance(value, str):
            return tuple(line for line in value.split("\n") if line)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise DataError(
                f"{self.place}: {name!r}: expected a list of texts, or lines, found "
                f"{_kind(value)} ({value!r:.60})"
            )
        return tuple(value)

    def _value(self, name: str) -> Any:
        if name not in self.values:
            raise ConfigError(
                f"{self.place}: has no {name!r}{did_you_mean(name, self.values)} (there are "
                f"{', '.join(self.values) or 'none'})"
            )
        return self.values[name]


def records(path: Path, columns: tuple[str, ...] = ()) -> Iterator[Record]:
    """Each record of a file; empty lines are none.

    Args:
        path: a `.jsonl`, `.csv` or `.tsv` file, plain or with `.gz` behind.
        columns: the names of a table's columns, where it has no header.

    Raises:
        ConfigError: it can't be opened; two columns of one name; names for what has its own.
        DataError: a line is none, with its number.
    """
    ending = Path(path.name.removesuffix(".gz")).suffix
    if ending == ".jsonl":
        if columns:
            raise ConfigError(f"data.columns: {path} names its fields itself; leave it out")
        yield from _objects(path)
    else:
        yield from _rows(path, _table(path) if ending == ".csv" else _plain(path), columns)


def _objects(path: Path) -> Iterator[Record]:
    for number, line in text_lines(path):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: not JSON: {error}") from None
        if not isinstance(values, dict):
            raise DataError(f"{place}: expected an object, found {_kind(values)}")
        yield Record(place, values)


def _rows(
    path: Path, rows: Iterator[tuple[int, list[str]]], columns: tuple[str, ...]
) -> Iterator[Record]:
    names = list(columns)
    for place, (number, cells) in enumerate(rows):
        if place == 0 and names and cells == names:
            raise ConfigError(
                f"data.columns: line {number} of {path} is a header with these very names; leave "
                "data.columns out"
            )
        if not names:
            names = cells
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ConfigError(
                    f"{path}: two columns are called {twice[0]!r}; name them by data.columns, "
                    "if its first line is no header"
                )
            continue
        if len(cells) != len(names):
            raise DataError(
                f"{path}, line {number}: expected {len(names)} cells ({', '.join(names)}), found "
                f"{len(cells)}"
            )
        yield Record(f"{path}, line {number}", dict(zip(names, cells, strict=True)))


def _plain(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in text_lines(path):
        if cells := line.removesuffix("\n").removesuffix("\r"):
            yield number, cells.split("\t")


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    # A cell may hold line ends, so the reader gets them; strict, or it would mend in silence.
    reader = csv.reader((line for _, line in text_lines(path)), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}, line {number}: not a row of a table: {error}") from None
        if cells:
            yield number, cells


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")
