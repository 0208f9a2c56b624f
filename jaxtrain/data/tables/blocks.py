"""A table file in blocks of whole rows, a megabyte or two each.

    for block in blocks(Path("table.csv"), Dialect()):
        block.rows, block.line                               # UTF-8 bytes, where they begin

So several threads can read one file, and no more of it is in memory than they work on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jaxtrain.data.tables.cells import blanks, count_of, lines_in
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.opening import utf8_pieces
from jaxtrain.errors import DataError

_SIZE = 2**20  # bytes
_LONGEST_ROW = 2**24  # bytes


@dataclass(frozen=True)
class Block:
    """Whole rows.

    Args:
        number: which block of the file it is, from 0.
        rows: UTF-8 text.
        line: the line of the file that they begin at, from 1.
        is_exact: that it ends with a row is certain, and blanks before quoted cells are taken
            away. Else a quoted cell with a line's end in it may have been cut.
        was_blanked: that there may have been such blanks.
    """

    number: int
    rows: bytes
    line: int
    is_exact: bool
    was_blanked: bool


def blocks(path: Path, dialect: Dialect, *, exact_from: int = 0) -> Iterator[Block]:
    """The blocks of a file, always the same ones.

    To follow quotes through a whole file costs as much as reading it. A line's end behind an even
    number of quotes is nearly always the end of a row, and who reads the rows can see whether it
    was: then the block before is to be had again, exactly.

    Args:
        path: the file.
        dialect: how it is written.
        exact_from: the number of the first block that is cut exactly.

    Raises:
        DataError: text in another encoding, a row that is too long, a quote that is never closed.
        ConfigError: the file can't be opened.
    """
    waiting, number, line = bytearray(), 0, 1
    pieces = utf8_pieces(path, dialect.encoding)
    piece = next(pieces, None)
    while piece is not None:
        waiting += piece
        piece = next(pieces, None)
        if piece is not None and len(waiting) < _SIZE:
            continue
        if piece is None:
            waiting += b"\n"  # as a rule a second one, which is an empty line
        content = bytes(waiting)
        is_exact = number >= exact_from
        end = _end_of_rows(content, dialect.delimiter, is_exact)
        if piece is None and end < len(content):
            raise DataError(
                f"{path}:{line + lines_in(content[:end])}: not CSV: a quote is opened and never "
                "closed"
            )
        if len(content) - end > _LONGEST_ROW:
            raise DataError(
                f"{path}:{line + lines_in(content[:end])}: a row larger than {_LONGEST_ROW:,} "
                "bytes; is a quote missing?"
            )
        if end:
            rows = content[:end]
            blanked = is_exact and _has_blank_quotes(rows)
            yield Block(
                number,
                _unblanked(rows, dialect.delimiter) if blanked else rows,
                line,
                is_exact or b'"' not in rows,
                blanked,
            )
            number, line = number + 1, line + lines_in(rows)
            del waiting[:end]


def _has_blank_quotes(content: bytes) -> bool:
    """Whether blanks may stand between a delimiter and a quote, which pyarrow takes for text."""
    return b' "' in content or b'\t"' in content


def _end_of_rows(content: bytes, delimiter: str, is_exact: bool) -> int:
    """Where the last whole row of `content`, which begins with one, ends."""
    # Whether a line feed follows a carriage return is not known at the end.
    limit = len(content) - content.endswith(b"\r")
    last = max(content.rfind(b"\n", 0, limit), content.rfind(b"\r", 0, limit)) + 1
    if b'"' not in content:
        return last
    if not is_exact and count_of(content[:last], '"') % 2 == 0:
        return last
    outside, rows, blank_rows, _ = _patterns(delimiter)
    if _has_blank_quotes(content):
        rows = blank_rows
    elif (found := outside.match(content, 0, last)) and found.end() == last:
        return last
    found = rows.match(content, 0, limit)
    return found.end() if found else 0


def _unblanked(rows: bytes, delimiter: str) -> bytes:
    """Without the blanks between a delimiter and a quote.

    >>> _unblanked(b'1,  "x, y"\\n', ",")
    b'1,"x, y"\\n'
    """
    return _patterns(delimiter)[-1].sub(rb"\1\2", rows)


@lru_cache
def _patterns(delimiter: str) -> tuple[re.Pattern[bytes], ...]:
    """What is outside of quotes, whole rows, these with blanks before quotes, a cell after blanks.

    Each matches a given text in one way only, so that none can take long over a hostile one.
    """
    other, blank = re.escape(delimiter).encode(), blanks(delimiter).encode()
    opened = rb'"(?:[^"]++|"")*+"'
    # A quote opens a cell after a delimiter or a line's end; elsewhere it is text.
    quote = rb'(?<![^%b\r\n])%b|(?<=[^%b\r\n])"' % (other, opened, other)
    cell = rb'(?:[%b]*+%b[^%b\r\n]*+|(?![%b]*+")[^%b\r\n]*+)' % (blank, opened, other, blank, other)
    row = rb"%b(?:%b%b)*+" % (cell, other, cell)
    ending = rb"(?:\r\n|\r|\n)"
    return (
        re.compile(rb'(?:[^"]++|%b)*+' % quote),
        re.compile(rb'(?:(?:[^"\r\n]++|%b)*+%b)*+' % (quote, ending)),
        re.compile(rb"(?:%b%b)*+" % (row, ending)),
        re.compile(rb"(\A|[%b\r\n])[%b]*(%b)" % (other, blank, opened)),
    )
