"""Dialect: how a table file is written.

Dialect(delimiter=";", decimal=",")                      # what a config says
Dialect().differences(sniff(Path("table.csv")))          # 'data.delimiter=";" data.decimal=","'
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from jaxtrain.errors import ConfigError, did_you_mean

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


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
