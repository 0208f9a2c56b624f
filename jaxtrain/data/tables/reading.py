"""Read a CSV file into a `Table`, by pyarrow, in threads, a block of rows at a time.

    head = read_head(Path("table.csv"), Dialect())           # names, and the first rows
    table = read_table(head, missing=("?", ""))

A column whose first cells are numbers is converted to numbers at once. Where a later cell is none,
the column is read again as text, which is what its kind is then told from.
"""

from __future__ import annotations

import logging
import mmap
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxtrain.data.tables.blocks import Block, blocks
from jaxtrain.data.tables.cells import blanks, rows_of
from jaxtrain.data.tables.dialect import Dialect, sniff
from jaxtrain.data.tables.numbers import NumberForm, is_plain_number
from jaxtrain.data.tables.table import Table, is_blank
from jaxtrain.data.tables.text import Text
from jaxtrain.data.tables.threads import in_order
from jaxtrain.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

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
    plan = _Plan(head, floats, [n for n in wanted if n not in floats], missing, head.exact_from)
    table = Table(head.path, head.dialect, head.columns, head.skipped)
    unfit: set[str] = set()
    texts: dict[str, list[Any]] = {name: [] for name in plan.texts}
    blank, total = [], 0
    for parsed in _parsed(plan):
        table.block_rows.append(parsed.rows)
        blank.append(total + parsed.blank)
        total += parsed.rows
        unfit |= parsed.unfit
        table.blocks.append(parsed.numbers)
        for name, column in parsed.texts.items():
            texts[name].append(column)
    table.blank = np.concatenate(blank) if blank else table.blank
    if len(table) == 0:
        raise DataError(f"{head.path}: expected at least one row, found none")
    table.numbers = {name: place for place, name in enumerate(plan.floats) if name not in unfit}
    if unfit:
        again = _Plan(head, [], sorted(unfit), missing, plan.exact_from)
        texts |= {name: [] for name in unfit}
        for parsed in _parsed(again):
            for name, column in parsed.texts.items():
                texts[name].append(column)
    table.exact_from = plan.exact_from
    table.texts = {name: Text.joined(parts) for name, parts in texts.items()}
    return table


def count_cells(
    head: Head, names: Collection[str], cells: Collection[str]
) -> dict[str, Counter[str]]:
    """How often each of `cells` stands in each of the columns `names`; those that do."""
    plan = _Plan(head, [], list(names), (), head.exact_from)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for parsed in _parsed(plan) if names else ():
        for name, column in parsed.texts.items():
            text = Text.joined([column])
            for code in np.flatnonzero(text.among(cells)):
                counts[name][text.value(int(code))] += int((text.codes == code).sum())
    return counts


@dataclass
class _Plan:
    """What is to be read, and as what."""

    head: Head
    floats: list[str]
    texts: list[str]
    missing: Collection[str]
    exact_from: int


@dataclass
class _Parsed:
    """One block: its rows, and the columns without those that are blank."""

    rows: int
    numbers: np.ndarray  # [N, rows - blank] float64
    texts: dict[str, pa.DictionaryArray]
    unfit: set[str] = field(default_factory=set)
    blank: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def _parsed(plan: _Plan) -> Iterator[_Parsed]:
    """All blocks of the file in their order, parsed by several threads."""
    number = 0
    while True:
        try:
            for parsed in _parsed_from(plan, number):
                yield parsed
                number += 1
            return
        except _CutInARowError as error:
            # The blocks before it did end with a row: each of them was looked at.
            plan.exact_from = min(plan.exact_from, error.number)


def _parsed_from(plan: _Plan, first: int) -> Iterator[_Parsed]:
    """The blocks from the number `first` on."""
    left = plan.head.skipped
    stream = blocks(plan.head.path, plan.head.dialect, exact_from=plan.exact_from)
    broken: DataError | None = None

    def tasks() -> Iterator[Callable[[], _Parsed]]:
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


def _parse(plan: _Plan, block: Block, skipped: int) -> _Parsed:
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
    as_text = _Plan(plan.head, [], [*plan.floats, *plan.texts], plan.missing, plan.exact_from)
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


def _converted(plan: _Plan, block: Block, skipped: int) -> _Parsed:
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
        return _Parsed(0, _memory(len(plan.floats), 0), {})
    length = found.num_rows
    columns = dict(zip(plan.floats + texts, found, strict=True))
    if not block.is_exact:
        length -= 1
        for column in columns.values():
            if column[length].as_py() not in (None, ""):
                raise _CutInARowError(block.number)
        columns = {name: column.slice(0, length) for name, column in columns.items()}
    parsed = _Parsed(length, _memory(len(plan.floats), length), {})
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
    plan: _Plan, block: Block, skipped: int, rows: bytes, floats: list[str], texts: list[str]
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


def _not_csv(plan: _Plan, block: Block, error: Exception) -> DataError:
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


def _blank_rows(plan: _Plan, parsed: _Parsed, rows: bytes) -> np.ndarray:
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
