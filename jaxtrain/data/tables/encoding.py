"""The encoding that a text looks to be written in.

find_encoding(read_start(Path("table.csv"), 2**16))      # "cp949"
"""

from __future__ import annotations

import codecs
import re

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_GUESSED_FROM = 2**14  # bytes: more are slow, and make no guess better


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
