"""The blocks of a CSV file, parsed by pyarrow in several threads.

    plan = ReadPlan(head, ["age"], ["city"], missing=("?",), exact_from=head.exact_from)
    for block in parse_blocks(plan):
        block.rows, block.numbers, block.texts["city"]

A block is cut where a line ends. Where that is within a quoted cell the block does not end with a
row; it is noticed, and the file is cut exactly, which is slower, from there on.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxtrain.data.tables.blocks import Block, blocks
from jaxtrain.data.tables.cells import blanks, rows_of
from jaxtrain.data.tables.head import Head
from jaxtrain.data.tables.numbers import NumberForm
from jaxtrain.data.tables.sniffing import sniff
from jaxtrain.data.tables.table import is_blank
from jaxtrain.data.tables.text import Text
from jaxtrain.data.tables.threads import in_order
from jaxtrain.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class ReadPlan:
    """What is to be read, and as what.

    Args:
        head: the first look at the file.
        floats: the columns to read as numbers.
        texts: the columns to read as text.
        missing: what stands for a missing value.
        exact_from: the first of the file's blocks that has to be cut exactly; moves to the front
            where a block turns out to be cut in a row.
    """

    head: Head
    floats: list[str]
    texts: list[str]
    missing: Collection[str]
    exact_from: int


@dataclass
class ParsedBlock:
    """A block's columns, without the rows that are blank.

    Args:
        rows: how many there are, blank ones counted.
        numbers: `[N, rows - blank]` float64, NaN where a cell is missing.
        texts: the columns of text.
        unfit: columns that were read as numbers, and in which a cell is none.
        blank: the numbers of the blank rows.
    """

    rows: int
    numbers: np.ndarray
    texts: dict[str, pa.DictionaryArray]
    unfit: set[str] = field(default_factory=set)
    blank: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def parse_blocks(plan: ReadPlan) -> Iterator[ParsedBlock]:
    """All blocks of the file in their order, parsed by several threads."""
    number = 0
    while True:
        try:
            for block in _parsed_from(plan, number):
                yield block
                number += 1
            return
        except _CutInARowError as error:
            # The blocks before it did end with a row: each of them was looked at.
            plan.exact_from = min(plan.exact_from, error.number)


def _parsed_from(plan: ReadPlan, first: int) -> Iterator[ParsedBlock]:
    """The blocks from the number `first` on."""
    left = plan.head.skipped
    stream = blocks(plan.head.path, plan.head.dialect, exact_from=plan.exact_from)
    broken: DataError | None = None

    def tasks() -> Iterator[Callable[[], ParsedBlock]]:
        nonlocal broken, left
        try:
            for block in stream:
                skipped, left = min(left, len(block.rows)), max(0, left - len(block.rows))
                if block.number >= first:
                    yield partial(_parse, plan, block, skipped)
        except DataError as error:  # or else a block before this one was cut in a row
            broken = error

    yield from in_order(tasks())
    if broken is not None:
        raise broken


class _CutInARowError(Exception):
    """A block doesn't end with a row, or has blanks before a quoted cell."""

    def __init__(self, number: int) -> None:
        self.number = number


def _parse(plan: ReadPlan, block: Block, skipped: int) -> ParsedBlock:
    """One block, without its first bytes, which are no rows."""
    import pyarrow as pa

    try:
        return _converted(plan, block, skipped)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            if not block.is_exact:
                raise _CutInARowError(block.number) from None
            raise _not_csv(plan, block, error) from error
    except pa.ArrowException as error:
        raise _not_csv(plan, block, error) from error
    # Some cell is no number as pyarrow has it; which ones are numbers as we have it?
    as_text = ReadPlan(plan.head, [], [*plan.floats, *plan.texts], plan.missing, plan.exact_from)
    parsed = _converted(as_text, block, skipped)
    dialect = plan.head.dialect
    form = NumberForm(dialect.decimal, dialect.thousands)
    parsed.numbers = _memory(len(plan.floats), parsed.rows - len(parsed.blank))
    for place, name in enumerate(plan.floats):
        column = Text.joined([parsed.texts.pop(name)])
        numbers, absent = form.parse(column.values), column.among(plan.missing)
        if not (np.isfinite(numbers) | absent)[column.codes].all():
            parsed.unfit.add(name)
        numbers[absent] = np.nan
        parsed.numbers[place] = numbers[column.codes]
    return parsed


def _converted(plan: ReadPlan, block: Block, skipped: int) -> ParsedBlock:
    import pyarrow as pa

    head = plan.head
    rows = block.rows[skipped:]
    texts = list(plan.texts)
    if not block.is_exact:
        # A last row of empty cells: it is one only where no quoted cell has swallowed it. Its
        # quotes are such that they don't close what is open.
        rows += head.dialect.delimiter.join(['""'] * len(head.columns)).encode()
        if head.columns[-1] not in (*plan.floats, *texts):
            texts.append(head.columns[-1])
    found = _read_csv(plan, block, skipped, rows, plan.floats, texts)
    if found is None:
        return ParsedBlock(0, _memory(len(plan.floats), 0), {})
    length = found.num_rows
    columns = dict(zip(plan.floats + texts, found, strict=True))
    if not block.is_exact:
        length -= 1
        for column in columns.values():
            if column[length].as_py() not in (None, ""):
                raise _CutInARowError(block.number)
        columns = {name: column.slice(0, length) for name, column in columns.items()}
    parsed = ParsedBlock(length, _memory(len(plan.floats), length), {})
    for place, name in enumerate(plan.floats):
        values = columns[name].to_numpy()
        parsed.numbers[place] = values
        if int(np.isfinite(values).sum()) != length - columns[name].null_count:
            parsed.unfit.add(name)  # pyarrow reads "inf" and "NaN(1)" as numbers
    for name in plan.texts:
        parsed.texts[name] = _one_chunk(columns[name])
        if not block.is_exact and _has_blank_quotes(parsed.texts[name].dictionary):
            raise _CutInARowError(block.number)
    parsed.blank = _blank_rows(plan, parsed, block.rows[skipped:])
    if len(parsed.blank):
        there = np.ones(length, bool)
        there[parsed.blank] = False
        numbers = parsed.numbers
        parsed.numbers = _memory(len(plan.floats), int(there.sum()))
        parsed.numbers[...] = numbers[:, there]
        parsed.texts = {n: c.filter(pa.array(there)) for n, c in parsed.texts.items()}
    return parsed


def _read_csv(
    plan: ReadPlan, block: Block, skipped: int, rows: bytes, floats: list[str], texts: list[str]
) -> pa.Table | None:
    """The columns in the order of `floats` and `texts`; None where there is no row."""
    import pyarrow as pa
    from pyarrow import csv

    head, ragged = plan.head, []
    width = len(head.columns)
    ids = {name: str(place) for place, name in enumerate(head.columns)}

    def handle(row: Any) -> str:
        if row.actual_columns == 1 and is_blank([row.text], width):
            return "skip"
        ragged.append(row.actual_columns)
        return "error"

    text = pa.dictionary(pa.int32(), pa.string())
    types = {ids[n]: pa.float64() for n in floats} | {ids[n]: text for n in texts}
    try:
        return csv.read_csv(
            pa.BufferReader(rows),
            read_options=csv.ReadOptions(
                use_threads=False, column_names=list(ids.values()), block_size=len(rows) + 1
            ),
            parse_options=csv.ParseOptions(
                delimiter=head.dialect.delimiter,
                newlines_in_values=True,
                invalid_row_handler=handle,
            ),
            convert_options=csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=_marks(plan.missing),
                decimal_point=head.dialect.decimal,
                check_utf8=False,  # it was encoded here
            ),
        )
    except pa.ArrowInvalid:
        if not rows.strip():
            return None
        if ragged and block.is_exact:
            raise _ragged(head, block, skipped) from None
        raise


def _one_chunk(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A block is read as one piece."""
    import pyarrow as pa

    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.array([], pa.string()).dictionary_encode()


def _has_blank_quotes(values: pa.StringArray) -> bool:
    """Whether a value looks like a quoted cell behind blanks, which pyarrow takes for text."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(values, r'^\s+"')).as_py())


def _not_csv(plan: ReadPlan, block: Block, error: Exception) -> DataError:
    return DataError(
        f"{plan.head.path}:{block.line}: in this line or one after it: not CSV: "
        f"{str(error).splitlines()[0][:200]}"
    )


def _memory(columns: int, rows: int) -> np.ndarray:
    """`[columns, rows]` float64 that go back to the system as soon as nobody has them any more.

    What malloc has had from the system it keeps for later, and there is no later: a table's numbers
    are given up while the arrays that are made of them grow.
    """
    size = columns * rows
    return np.frombuffer(mmap.mmap(-1, max(1, size) * 8), np.float64, size).reshape(columns, rows)


def _marks(missing: Collection[str]) -> list[str]:
    """The marks, with a blank around them or not: what is rarer is found out when it is met."""
    return sorted({f"{a}{m.strip()}{b}" for m in missing for a in ("", " ") for b in ("", " ")})


def _blank_rows(plan: ReadPlan, parsed: ParsedBlock, rows: bytes) -> np.ndarray:
    """Which rows have no cell that is not empty."""
    candidates = np.ones(parsed.rows, bool)
    for values in parsed.numbers:
        candidates &= np.isnan(values)
        if not candidates.any():
            return np.zeros(0, np.int64)
    for column in parsed.texts.values():
        text = Text.joined([column])
        candidates &= text.among([""])[text.codes]
    if not candidates.any():
        return np.zeros(0, np.int64)
    dialect = plan.head.dialect
    width = len(plan.head.columns)
    blank = blanks(dialect.delimiter).encode()
    delimiter = re.escape(dialect.delimiter).encode() if width > 1 else b'"'
    alone = rb'(?:\A|[\r\n])[%b"]*%b' % (blank, delimiter if width > 1 else b"")
    alone += rb'[%b"%b]*(?:[\r\n]|\Z)' % (blank, delimiter)
    if not re.search(alone, rows):
        return np.zeros(0, np.int64)
    found = rows_of(rows.decode(), dialect.delimiter)
    cells = (row.cells for row in found if not is_blank(row.cells, width))
    blank_rows = [n for n, row in enumerate(cells) if not any(map(str.strip, row))]
    return np.array(blank_rows, np.int64)


def _ragged(head: Head, block: Block, skipped: int) -> DataError:
    """What is said of the first row that has another number of cells than there are columns."""
    width = len(head.columns)
    begin = len(block.rows[:skipped].decode())
    line, found = block.line, 0
    for row in rows_of(block.rows.decode(), head.dialect.delimiter, line=block.line):
        wrong = len(row.cells) != width and not is_blank(row.cells, width)
        if row.end > begin and wrong:
            line, found = row.line, len(row.cells)
            break
    looks = head.dialect.differences(sniff(head.path))
    hint = f"; the file looks as if it were written otherwise: set {looks}" if looks else ""
    return DataError(
        f"{head.path}:{line}: expected {width} cells ({head.columns[0]} to {head.columns[-1]}), "
        f"found {found}{hint if width == 1 or found == 1 else ''}"
    )
