"""Read a table of text cells from a CSV file, plain or gzipped.

table = read_table(Path("adult.data.gz"), columns=("age", "workclass"))
table.column("age"), table.place(0, "age")
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxtrain.data.find_file import open_data
from jaxtrain.errors import ConfigError, DataError, did_you_mean

# Tables are read as a whole; a bomb of a gzip file must not be.
_LARGEST = 2**30


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of text.

    Args:
        path: the file they are from.
        columns: the name of each cell in a row.
        rows: the cells; every row has as many as there are columns.
        lines: the line of each row in the file, counted from 1.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    def position(self, name: str) -> int:
        """Which cell of a row `name` is; a `ConfigError` lists the columns there are."""
        try:
            return self.columns.index(name)
        except ValueError:
            raise ConfigError(
                f"{self.path}: no column {name!r}{did_you_mean(name, self.columns)} "
                f"(columns: {', '.join(self.columns)})"
            ) from None

    def column(self, name: str) -> list[str]:
        """The cells of one column."""
        position = self.position(name)
        return [row[position] for row in self.rows]

    def select(self, indices: np.ndarray) -> Table:
        """Some of the rows."""
        return Table(
            self.path,
            self.columns,
            [self.rows[index] for index in indices],
            [self.lines[index] for index in indices],
        )

    def place(self, row: int, column: str) -> str:
        """`path:line: column 'name'`, to begin a message with."""
        return f"{self.path}:{self.lines[row]}: column {column!r}"


def read_table(path: Path, *, columns: tuple[str, ...] = (), preamble: str = "") -> Table:
    """The rows of a comma-separated UTF-8 file; blanks around cells and empty lines are dropped.

    Args:
        path: the file; `.gz` is inflated.
        columns: the names of the columns, for a file without a header; where none are given, the
            first line is the header.
        preamble: the file's first line is skipped where it begins with this.

    Raises:
        DataError: a row with more or fewer cells than columns, a column named twice, no rows, or
            text that is not UTF-8 CSV. The message names file and line.
    """
    with open_data(path) as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise DataError(f"{path}: larger than the {_LARGEST:,} bytes that a table may have")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    names, rows, lines = columns, [], []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if preamble and reader.line_num == 1 and row[0].startswith(preamble):
                continue
            if not names:
                names = tuple(row)
                continue
            if len(row) != len(names):
                raise DataError(
                    f"{path}:{reader.line_num}: expected {len(names)} cells "
                    f"({names[0]} to {names[-1]}), found {len(row)}"
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV: {error}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: columns named more than once: {', '.join(twice)}")
    if not rows:
        raise DataError(f"{path}: expected at least one row, found none")
    return Table(path, names, rows, lines)
