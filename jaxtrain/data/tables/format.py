"""How the files of a run are written: the dialect, and what else a config says of them.

written = TableFormat(dialect=Dialect(delimiter=";"), missing=("NA",))
head = written.head(Path("new.csv"))
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.head import Head, read_head

MISSING = ("?", "")
"""What stands for a missing value where nobody says otherwise."""


@dataclass(frozen=True, kw_only=True)
class TableFormat:
    """What every file of a run has in common.

    Args:
        dialect: delimiter, encoding, how numbers are written.
        columns: the names of the columns, for files without a header.
        preamble: a file's first line is skipped where it begins with this.
        missing: what stands for a missing value; blanks around it don't count.
        strip_target: characters to take off the end of each target.
    """

    dialect: Dialect = field(default_factory=Dialect)
    columns: tuple[str, ...] = ()
    preamble: str = ""
    missing: tuple[str, ...] = MISSING
    strip_target: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(mark.strip() for mark in self.missing))

    def head(self, path: Path, *, optional: str | None = None) -> Head:
        """The first look at a file; errors as `read_head`."""
        return read_head(
            path, self.dialect, columns=self.columns, optional=optional, preamble=self.preamble
        )
