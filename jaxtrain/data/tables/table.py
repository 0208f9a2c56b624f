"""A table in memory: columns of numbers and columns of text, and where in the file each cell is.

    table = read_table(Path("table.csv"), Dialect(), Reading(missing=("?", "")))
    table.floats("age")                                      # [B] float64, NaN where missing
    table.texts["city"].values
    table.place(0, "age")                                    # "table.csv:2: column 'age'"

Axis letters: B rows, N columns of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxtrain.data.tables.blocks import Block, blocks
from jaxtrain.data.tables.cells import rows_of
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.text import Text
from jaxtrain.errors import ConfigError, did_you_mean


@dataclass(eq=False)
class Table:
    """What was read of a file.

    Args:
        path: the file.
        dialect: how it was read.
        columns: the names of all its columns, those that were not read, too.
        skipped: the UTF-8 bytes before its first row: a header, a preamble.
        numbers: which row of `blocks` a column of numbers is.
        blocks: `[N, b]` float64 each, NaN where a cell is missing; together B rows.
        texts: the columns of text.
        block_rows: how many rows each block of the file has, blank ones counted.
        blank: the numbers of the blank rows, which are left out.
        exact_from: the first of its blocks that was cut exactly.
    """

    path: Path
    dialect: Dialect
    columns: tuple[str, ...]
    skipped: int
    numbers: dict[str, int] = field(default_factory=dict)
    blocks: list[np.ndarray] = field(default_factory=list)
    texts: dict[str, Text] = field(default_factory=dict)
    block_rows: list[int] = field(default_factory=list)
    blank: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    exact_from: int = 0

    def __len__(self) -> int:
        return sum(self.block_rows) - len(self.blank)

    def refuse_unknown(self, name: str) -> None:
        """Raise a `ConfigError` that lists the columns there are, where `name` is none of them."""
        if name in self.columns:
            return
        from jaxtrain.data.tables.sniffing import sniff

        hint, looks = "", self.dialect.differences(sniff(self.path))
        if len(self.columns) == 1 and looks:
            hint = f"; the file looks as if it were written otherwise: set {looks}"
        raise ConfigError(
            f"{self.path}: no column {name!r}{did_you_mean(name, self.columns)} "
            f"(columns: {', '.join(self.columns)}){hint}"
        )

    def floats(self, name: str) -> np.ndarray:
        """`[B]` float64 of a column of numbers, a copy."""
        place = self.numbers[name]
        return np.concatenate([block[place] for block in self.blocks])

    def used_up(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """`start, stop, numbers [N, stop - start]`, block by block; each is given up on the way.

        So what is made of the rows may grow while they go. Then the table has no numbers any more.
        """
        start, length = 0, len(self)
        if not self.blocks:
            sizes = range(0, length, 2**16)
            yield from ((at, min(at + 2**16, length), np.zeros((0, 0))) for at in sizes)
        while self.blocks:
            block = self.blocks.pop(0)
            yield start, start + block.shape[1], block
            start += block.shape[1]

    def row_numbers(self) -> np.ndarray:
        """`[B]` int64, which row of the file each is, from 1; blank rows count, empty lines not."""
        return np.delete(np.arange(1, sum(self.block_rows) + 1), self.blank)

    def line(self, row: int) -> int | None:
        """The line of a row in the file, from 1; None where the file is not what it was."""
        number = int(self.row_numbers()[row]) - 1
        before, skipped = 0, self.skipped
        for block, rows in zip(self._file_blocks(), self.block_rows, strict=False):
            if before + rows <= number:
                before += rows
                skipped = max(0, skipped - len(block.rows))
                continue
            text = block.rows.decode(errors="replace")
            head = block.rows[:skipped].decode(errors="replace")
            found = 0
            for one in rows_of(text, self.dialect.delimiter, line=block.line):
                if one.end <= len(head) or is_blank(one.cells, len(self.columns)):
                    continue
                if before + found == number:
                    return one.line
                found += 1
        return None

    def _file_blocks(self) -> Iterator[Block]:
        return blocks(self.path, self.dialect, exact_from=self.exact_from)

    def place(self, row: int, column: str) -> str:
        """`path:line: column 'name'`, to begin a message with."""
        return f"{self.path}:{self.line(row) or '?'}: column {column!r}"


def is_blank(cells: list[str], width: int) -> bool:
    """Whether a line holds blanks alone, and so is no row of a table of `width` columns."""
    return width > 1 and len(cells) == 1 and not cells[0].strip()
