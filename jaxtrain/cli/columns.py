"""Columns that fit the terminal: first the least worth is left out, what may be cut is cut.

    print_columns([
        Column("run", ids, shorter=short_ids, shorten_at=3),     # never cut, never left out
        Column("status", states, worth=5),
        Column("differs", texts, worth=1, least=12),             # cut to 12 characters, if need be
    ])

80 characters in a pipe, as in the other tables of the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Characters between two columns."""

_MORE = "..."


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: its head.
        cells: one a row.
        worth: those of the least are left out first; None for one that has to stay.
        least: to how many characters it may be cut; None where a part of it says nothing.
        right: whether it stands at the right, as numbers do.
        shorter: cells to put in their places before a column that is worth more is left out.
        shorten_at: what that is worth.
    """

    title: str
    cells: Sequence[str]
    worth: int | None = None
    least: int | None = None
    right: bool = False
    shorter: Sequence[str] | None = None
    shorten_at: int = 0

    @property
    def width(self) -> int:
        """Of the widest cell."""
        from rich.cells import cell_len

        return max(map(cell_len, (self.title, *self.cells)))


def fitted(columns: Sequence[Column], width: int) -> list[Column]:
    """Those columns that fit, at the widths that they have then.

    What has to stay does so, even if it is wider than there is room.
    """
    kept = list(columns)
    while _least_width(kept) > width:
        steps = [(c.worth, at, "drop") for at, c in enumerate(kept) if c.worth is not None]
        steps += [(c.shorten_at, at, "shorten") for at, c in enumerate(kept) if c.shorter]
        if not steps:
            break
        _, at, step = min(steps)
        if step == "drop":
            del kept[at]
        else:
            kept[at] = replace(kept[at], cells=kept[at].shorter or (), shorter=None)
    room = width - _least_width(kept)
    for at, column in enumerate(kept):
        if column.least is not None:
            given = min(column.width, column.least + max(room, 0))
            room -= given - min(column.least, column.width)
            kept[at] = replace(column, cells=[cut(cell, given) for cell in column.cells])
    return kept


def cut(text: str, width: int) -> str:
    """`text`, or as much of it as has room, and that it goes on.

    >>> cut("seed=3, train.epochs=30", 12)
    'seed=3, t...'
    """
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, width - len(_MORE)) + _MORE


def terminal_width() -> int:
    """Of the terminal, or what COLUMNS says; 80 in a pipe."""
    return _console().width


def print_columns(columns: Sequence[Column], *, keep_empty: bool = False) -> None:
    """Print those that fit, with their titles.

    Args:
        columns: each with as many cells.
        keep_empty: print those, too, in which nothing stands.
    """
    from rich.table import Table
    from rich.text import Text

    width = terminal_width()
    kept = fitted([c for c in columns if keep_empty or any(c.cells)], width)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in kept:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(Text(column.title), justify=justify, no_wrap=True)
    for row in zip(*(column.cells for column in kept), strict=True):
        table.add_row(*map(Text, row))
    # Never narrower than what it holds: a name that is cut off can't be typed.
    console = _console(max(width, _least_width(kept)) + GAP)
    with console.capture() as caught:
        console.print(table)
    for line in caught.get().rstrip("\n").split("\n"):
        print(line.rstrip())


def _console(width: int | None = None) -> Console:
    from rich.console import Console

    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False, width=width)


def _least_width(columns: Sequence[Column]) -> int:
    widths = (c.width if c.least is None else min(c.least, c.width) for c in columns)
    return sum(widths) + GAP * (len(columns) - 1)
