"""The text of a table file as UTF-8, piece by piece, plain or gzipped.

    for piece in utf8_pieces(Path("table.csv.gz"), "cp949"):
        ...

A gzip file is left where it inflates to more than a gibibyte: a file on the disk has been paid
for, a bomb has not.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.data.find_file import open_data
from jaxtrain.data.tables.dialect import option
from jaxtrain.data.tables.encoding import find_encoding
from jaxtrain.errors import DataError

_PIECE = 2**20  # bytes
_LARGEST = 2**30  # bytes, inflated
_BYTE_ORDER_MARK = "\ufeff".encode()


def utf8_pieces(path: Path, encoding: str) -> Iterator[bytes]:
    """The whole text, without a byte order mark.

    Raises:
        DataError: it is not text in this encoding, a corrupt gzip file, or a bomb.
        ConfigError: it can't be opened.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    is_utf8 = codecs.lookup(encoding).name == "utf-8"
    done = 0
    start: bytes | None = b""  # until it is known whether it is a mark
    with open_data(path) as stream:
        while piece := stream.read(_PIECE):
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(piece)
            except UnicodeError as error:
                raise _not_text(path, encoding, error, done - waiting) from error
            done += len(piece)
            if path.suffix == ".gz" and done > _LARGEST:
                raise DataError(
                    f"{path}: larger than the {_LARGEST:,} bytes that a gzipped table may have; "
                    "unpack it"
                )
            # Decoding UTF-8 is a check of it; its bytes are already what is wanted.
            utf8 = piece if is_utf8 else _encoded(path, text)
            if start is None:
                yield utf8
            elif len(start := start + utf8) >= len(_BYTE_ORDER_MARK):
                yield start.removeprefix(_BYTE_ORDER_MARK)
                start = None
    try:
        rest = decoder.decode(b"", True)
    except UnicodeError as error:
        raise _not_text(path, encoding, error, done - len(decoder.getstate()[0])) from error
    yield (start or b"") + (b"" if is_utf8 else _encoded(path, rest))


def read_start(path: Path, size: int) -> bytes:
    """The first bytes of a file, at most `size`, inflated."""
    with open_data(path) as stream:
        return stream.read(size)


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # UTF-16 or UTF-7 may spell half a character
        raise DataError(f"{path}: not text: {error.reason}") from error


def _not_text(path: Path, encoding: str, error: UnicodeError, before: int) -> DataError:
    where = ""
    if isinstance(error, UnicodeDecodeError):
        where = f": {error.reason} at byte {before + error.start}"
        near = read_start(path, before + error.end + 2**12)[max(0, before + error.start - 2**12) :]
        looks = find_encoding(near if before + error.start > 2**12 else read_start(path, 2**16))
    else:
        where, looks = f": {error}", find_encoding(read_start(path, 2**16))
    hint = "set data.encoding to what it is written in"
    if looks and looks != encoding:
        hint = f"it looks like {looks}: set {option('encoding', looks)}"
    name = "UTF-8" if codecs.lookup(encoding).name == "utf-8" else encoding
    return DataError(f"{path}: not {name} text{where}; {hint}")
