"""The first look at a CSV file: the names of its columns, and its first rows.

head = read_head(Path("table.csv"), Dialect())
head.columns, head.cells("age")[:3]
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from jaxtrain.data.tables.blocks import blocks
from jaxtrain.data.tables.cells import rows_of
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.numbers import is_plain_number
from jaxtrain.errors import DataError

logger = logging.getLogger(__name__)

_SAMPLE = 300  # rows


@dataclass(frozen=True)
class Head:
    """What the first look at a file says.

    Args:
        path: the file.
        dialect: how it is read.
        columns: the names of its columns.
        skipped: the UTF-8 bytes before its first row.
        sample: the first rows, at most 300; as many cells each as there are columns, or
            not, where the file is broken.
        exact_from: the first of the file's blocks that has to be cut exactly.
    """

    path: Path
    dialect: Dialect
    columns: tuple[str, ...]
    skipped: int
    sample: list[list[str]]
    exact_from: int = sys.maxsize

    def cells(self, name: str) -> list[str]:
        """The cells of a column in the sample."""
        place = self.columns.index(name)
        return [row[place] for row in self.sample if place < len(row)]

    def looks_numeric(self, name: str, missing: Collection[str]) -> bool:
        """Whether no cell in the sample is anything but a number or missing."""
        decimal = self.dialect.decimal
        return all(
            is_plain_number(cell.replace(decimal, "."))
            for cell in self.cells(name)
            if cell not in missing
        )


def read_head(
    path: Path,
    dialect: Dialect,
    *,
    columns: tuple[str, ...] = (),
    optional: str | None = None,
    preamble: str = "",
) -> Head:
    """Look at the first rows of a file.

    Args:
        path: the file, plain or `.gz`.
        dialect: how it is written.
        columns: the names of its columns, where it has no header; a first row that has just these
            is a header all the same.
        optional: the one of them that the file may lack.
        preamble: the first line is skipped where it begins with this.

    Raises:
        DataError: no rows, a column named twice, or text in another encoding.
        ConfigError: the file can't be opened.
    """
    names: tuple[str, ...] = ()
    skipped, before = 0, 0
    sample: list[list[str]] = []
    exact_from = sys.maxsize
    for block in blocks(path, dialect):
        text = block.rows.decode()
        if block.was_blanked:
            exact_from = 0
        for row in rows_of(text, dialect.delimiter, line=block.line):
            cells = [cell.strip() for cell in row.cells]
            if not any(cells):
                continue
            end = before + len(text[: row.end].encode()) if not sample else 0
            if preamble and row.line == 1 and cells[0].startswith(preamble):
                skipped = end
            elif not names and _is_header(cells, columns, optional):
                names, skipped = tuple(cells), end
            else:
                if not names:
                    lacking = len(cells) == len(columns) - 1 and optional in columns
                    names = tuple(n for n in columns if not lacking or n != optional)
                sample.append(cells)
            if len(sample) == _SAMPLE:
                break
        if sample:
            break
        before += len(block.rows)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: columns named more than once: {', '.join(twice)}")
    if not sample:
        raise DataError(f"{path}: expected at least one row, found none")
    numeric = sum(is_plain_number(name) for name in names)
    if not columns and numeric and numeric >= len(names) - 1:
        logger.warning(
            "%s: the first line (%s) was taken for the names of the columns, though they are "
            "numbers; where the file has no such line, data.columns names them",
            path,
            ", ".join(names[:5]),
        )
    return Head(path, dialect, names, skipped, sample, exact_from)


def _is_header(cells: list[str], columns: tuple[str, ...], optional: str | None) -> bool:
    return not columns or set(cells) in ({*columns}, {*columns} - {optional})
