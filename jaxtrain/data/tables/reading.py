"""Read a CSV file into a `Table`, by pyarrow, in threads, a block of rows at a time.

    head = read_head(Path("table.csv"), Dialect())           # names, and the first rows
    table = read_table(head, missing=("?", ""))

A column whose first cells are numbers is converted to numbers at once. Where a later cell is none,
the column is read again as text, which is what its kind is then told from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from jaxtrain.data.tables.head import Head
from jaxtrain.data.tables.parsing import ReadPlan, parse_blocks
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.text import Text
from jaxtrain.errors import DataError


def read_table(
    head: Head,
    *,
    missing: Collection[str],
    only: Collection[str] | None = None,
    text: Collection[str] = (),
) -> Table:
    """Read the file that `head` is of.

    Blanks around cells, empty lines and rows without any cell that is not empty are dropped.

    Args:
        head: the first look.
        missing: what stands for a missing value.
        only: the columns to read; all where None.
        text: those of them to read as text whatever they look like.

    Raises:
        DataError: a row with more or fewer cells than columns, no rows, text that is not CSV. The
            message names file and line.
        ConfigError: the file can't be opened.
    """
    wanted = [name for name in head.columns if only is None or name in only]
    wanted = wanted or [head.columns[0]]  # the rows are counted all the same
    floats = [n for n in wanted if n not in text and head.looks_numeric(n, missing)]
    plan = ReadPlan(head, floats, [n for n in wanted if n not in floats], missing, head.exact_from)
    table = Table(head.path, head.dialect, head.columns, head.skipped)
    unfit: set[str] = set()
    texts: dict[str, list[Any]] = {name: [] for name in plan.texts}
    blank, total = [], 0
    for block in parse_blocks(plan):
        table.block_rows.append(block.rows)
        blank.append(total + block.blank)
        total += block.rows
        unfit |= block.unfit
        table.blocks.append(block.numbers)
        for name, column in block.texts.items():
            texts[name].append(column)
    table.blank = np.concatenate(blank) if blank else table.blank
    if len(table) == 0:
        raise DataError(f"{head.path}: expected at least one row, found none")
    table.numbers = {name: place for place, name in enumerate(plan.floats) if name not in unfit}
    if unfit:
        again = ReadPlan(head, [], sorted(unfit), missing, plan.exact_from)
        texts |= {name: [] for name in unfit}
        for block in parse_blocks(again):
            for name, column in block.texts.items():
                texts[name].append(column)
    table.exact_from = plan.exact_from
    table.texts = {name: Text.joined(parts) for name, parts in texts.items()}
    return table


def count_cells(
    head: Head, names: Collection[str], cells: Collection[str]
) -> dict[str, Counter[str]]:
    """How often each of `cells` stands in each of the columns `names`; those that do."""
    plan = ReadPlan(head, [], list(names), (), head.exact_from)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for block in parse_blocks(plan) if names else ():
        for name, column in block.texts.items():
            text = Text.joined([column])
            for code in np.flatnonzero(text.among(cells)):
                counts[name][text.value(int(code))] += int((text.codes == code).sum())
    return counts
