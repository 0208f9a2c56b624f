"""The dialect that a table file looks to be written in.

    looks = sniff(Path("table.csv"))
    looks.delimiter, looks.encoding

A config is never overruled in silence: where a file can't be read as the config says, the error
says what the file looks like.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from pathlib import Path

from jaxtrain.data.tables.cells import Row, rows_of
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.encoding import find_encoding
from jaxtrain.data.tables.opening import read_start

_LOOK = 2**18  # bytes
_ROWS = 200


def sniff(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Dialect:
    """How a file looks to be written, by its first rows.

    Args:
        path: the file, plain or `.gz`.
        encoding: where it is known.
        delimiter: where it is known.

    Returns:
        The dialect; what can't be told from the file is as `Dialect()` has it.

    Raises:
        DataError: a corrupt gzip file.
        ConfigError: it can't be opened.
    """
    start = read_start(path, _LOOK)
    encoding = encoding or find_encoding(start) or "utf-8"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start).removeprefix("\ufeff")
    delimiter = delimiter or find_delimiter(text) or ","
    decimal = "," if delimiter != "," and _commas_are_decimal(text, delimiter) else "."
    return Dialect(encoding=encoding, delimiter=delimiter, decimal=decimal)


def find_delimiter(text: str) -> str | None:
    """The delimiter under which all first rows have the same number of cells, more than one.

    Of several such, the one that text has for nothing else: a comma may be a decimal one.

    >>> find_delimiter("a;b\\n1,5;2\\n"), find_delimiter("a\\n1\\n")
    (';', None)
    """
    return next((one for one in ("\t", ";", "|", ",") if _is_even(text, one)), None)


def _is_even(text: str, delimiter: str) -> bool:
    if delimiter not in text:
        return False
    widths = [len(row.cells) for row in _first_rows(text, delimiter)]
    return bool(widths) and widths[0] > 1 and len(set(widths)) == 1


def _first_rows(text: str, delimiter: str) -> list[Row]:
    rows: list[Row] = []
    for row in rows_of(text, delimiter):
        if row.end >= len(text) and len(text) >= _LOOK // 4 and rows:
            break  # cut off in the middle
        if any(map(str.strip, row.cells)):
            rows.append(row)
        if len(rows) == _ROWS:
            break
    return rows


def _commas_are_decimal(text: str, delimiter: str) -> bool:
    """Whether more cells are numbers by a decimal comma alone than by a point."""
    found: Counter[str] = Counter()
    for row in _first_rows(text, delimiter):
        for cell in map(str.strip, row.cells):
            if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d+,(\d{1,2}|\d{4,})", cell):
                found[","] += 1
            elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d+\.(\d{1,2}|\d{4,})", cell):
                found["."] += 1
    return found[","] > found["."]
