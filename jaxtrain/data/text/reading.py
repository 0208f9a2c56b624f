"""Text of a file, a part at a time: UTF-8, plain or gzipped, as it stands.

    for part in text_parts(Path("input.txt")): ...           # some hundred thousand characters each
    for number, line in text_lines(Path("a.jsonl")): ...     # 1, "...\\n"

No line's end is turned into another, and only a byte order mark at the very beginning is left out.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.data.find_file import open_data
from jaxtrain.errors import DataError

_PART = 2**18  # bytes
_LONGEST_LINE = 2**26  # characters; a bomb may be one line
_BYTE_ORDER_MARK = "\ufeff"


def text_parts(path: Path) -> Iterator[str]:
    """The text, part by part.

    Raises:
        ConfigError: it can't be opened.
        DataError: it is not UTF-8, with the place; or a corrupt gzip file.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    done, begun = 0, False
    with open_data(path) as stream:
        while True:
            data = stream.read(_PART)
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}: not UTF-8: byte {done - waiting + error.start} ({error.reason}); "
                    "save it as UTF-8"
                ) from None
            done += len(data)
            if text and not begun:
                text, begun = text.removeprefix(_BYTE_ORDER_MARK), True
            if text:
                yield text
            if not data:
                return


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line and its number, counted from 1, with what ends it.

    Only LF does, not the other characters that Unicode knows to.

    Raises:
        ConfigError: it can't be opened.
        DataError: as of `text_parts`; a line that is longer than any should be.
    """
    number, rest = 0, ""
    for part in text_parts(path):
        *lines, rest = (rest + part).split("\n")
        for line in lines:
            number += 1
            yield number, f"{line}\n"
        if len(rest) > _LONGEST_LINE:
            raise DataError(
                f"{path}, line {number + 1}: longer than {_LONGEST_LINE:,} characters; is it a "
                "file of lines?"
            )
    if rest:
        yield number + 1, rest


def file_digest(path: Path) -> str:
    """The sha256 (hex) of a file's bytes, as they lie there.

    Raises:
        ConfigError: it can't be opened.
    """
    digest = hashlib.sha256()
    # Not inflated: this reads a file only to know it again.
    with open_data(path, inflate=False) as stream:
        while data := stream.read(_PART):
            digest.update(data)
    return digest.hexdigest()
