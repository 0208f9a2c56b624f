"""Dialect: how a table file is written, and the way it looks to be written.

    Dialect(delimiter=";", decimal=",")                      # what a config says
    looks = sniff(Path("table.csv"))                         # what the file says
    looks.delimiter, looks.encoding

A config is never overruled in silence: where a file can't be read as the config says, the error
says what the file looks like.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jaxtrain.data.tables.cells import Row, rows_of
from jaxtrain.data.tables.opening import read_start
from jaxtrain.errors import ConfigError, did_you_mean

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LOOK = 2**18  # bytes
_ROWS = 200
_GUESSED_FROM = 2**14  # bytes: more are slow, and make no guess better


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How cells and numbers are written.

    Args:
        delimiter: what stands between two cells, one character.
        encoding: of the text, as Python calls it.
        decimal: "." or ",".
        thousands: what groups the digits of large numbers: "," in 1,234.5; "" where nothing does.

    Raises:
        ConfigError: one of them can't be meant.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str = ""

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n\0 ':
            raise ConfigError(
                f'delimiter: expected one character such as "," or ";", found {self.delimiter!r}'
            )
        if self.decimal not in (".", ","):
            raise ConfigError(f'decimal: expected "." or ",", found {self.decimal!r}')
        grouping = self.thousands
        if grouping and (
            len(grouping) > 1 or grouping.isalnum() or grouping in '+-"\r\n\0' + self.decimal
        ):
            raise ConfigError(
                f'thousands: expected one character such as "," or ".", other than decimal '
                f"({self.decimal!r}), found {grouping!r}"
            )
        _refuse_unknown(self.encoding)

    def differences(self, other: Dialect) -> str:
        """What of `other` is not as here, as a config is told of it: `data.delimiter=";"`."""
        return " ".join(
            option(name, getattr(other, name))
            for name in ("delimiter", "encoding", "decimal", "thousands")
            if getattr(self, name) != getattr(other, name)
        )


def option(name: str, value: str) -> str:
    r"""What to write to set it.

    >>> option("delimiter", ";"), option("delimiter", "\t"), option("encoding", "cp949")
    ('data.delimiter=";"', 'data.delimiter="\\t"', 'data.encoding="cp949"')
    """
    return f'data.{name}="{value}"'.replace("\t", "\\t")


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


def find_encoding(start: bytes) -> str | None:
    """The encoding of a text that begins so: by its mark, UTF-8 where it is that, else a guess."""
    for mark, name in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    import charset_normalizer

    # Cells of ASCII say nothing, and drown those that do.
    telling = [cell for cell in re.split(rb"[\r\n\t,;|\"]+", start) if not cell.isascii()]
    best = charset_normalizer.from_bytes(b"\n".join(telling)[:_GUESSED_FROM]).best()
    if best is None:
        return None
    # Of several that make the same text of it, the one that is most often meant.
    same = {best.encoding, *best.could_be_from_charset}
    name = next((name for name in ("cp949", "cp1252") if name in same), best.encoding)
    return "cp949" if name == "euc_kr" else name.replace("_", "-")


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


def _refuse_unknown(encoding: str) -> None:
    known = ("utf-8", "utf-16", "cp1252", "latin-1", "cp949", "cp932", "gb18030", "cp1251")
    try:
        "a".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError, TypeError):
        raise ConfigError(
            f"encoding: Python knows no text encoding {encoding!r}{did_you_mean(encoding, known)} "
            f"(for instance {', '.join(known)})"
        ) from None
