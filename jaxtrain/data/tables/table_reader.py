"""Reads tables that a run has never seen as it has read what it was trained on.

reader = READERS.build(config.data, state=saved)         # the reader "csv"
rows = reader.read(Path("new.csv"))
rows.ids["row"], rows.ids["customer"]
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxtrain.data.find_file import find_file
from jaxtrain.data.reader import READERS, NewRows
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.fitted import Fitted
from jaxtrain.data.tables.format import MISSING, TableFormat
from jaxtrain.data.tables.head import Head
from jaxtrain.data.tables.sniffing import sniff
from jaxtrain.errors import ConfigError, DataError, did_you_mean

logger = logging.getLogger(__name__)


class TableReader:
    """A `Reader` of CSV files.

    A file has to have the columns that the model learnt from, in any order; others are left alone.
    The target may be there or not, in some rows or in all.

    Args:
        fitted: what was learnt from the training rows.
        written: how the files to read are written.
    """

    def __init__(self, fitted: Fitted, written: TableFormat) -> None:
        self.fitted = fitted
        self.written = written

    def state(self) -> Mapping[str, Any]:
        """What was learnt, as JSON values."""
        return self.fitted.to_json()

    def read(self, path: Path) -> NewRows:
        """The rows of a file.

        `ids` has "row", its number in the file from 1 (a header is none, nor is an empty line),
        and the columns that identified the rows in training, where the file has them.

        Raises:
            DataNotFoundError: there is no such file.
            ConfigError: it lacks columns, or is written in another way than the config says.
            DataError: it is broken, or a cell is not what its column holds; names the place.
        """
        path = find_file(path.parent, path.name, remedy="name a CSV file")
        fitted, target = self.fitted, self.fitted.target
        head = self.written.head(path, optional=target.name)
        refuse_lacking(head, fitted.features)
        used = {*fitted.features, *fitted.ids, target.name}
        extra = [name for name in head.columns if name not in used]
        if extra:
            logger.info("%s: columns that are not used: %s", path, ", ".join(extra))
        ids = tuple(name for name in fitted.ids if name in head.columns)
        table = fitted.read(head, self.written, others=ids)
        labels, known = None, None
        if target.name in head.columns:
            try:
                labels, known = target.labels(table, self.written)
            except DataError as error:  # nobody needs a target to predict
                logger.warning("%s; the rows count as rows without a target", error)
                known = np.zeros(len(table), bool)
            self._tell_of_unknown_classes(table.texts.get(target.name), known, path)
            if not known.any():
                labels, known = None, None
            elif known.all():
                known = None
        columns: dict[str, Sequence[Any]] = {"row": table.row_numbers().tolist()}
        for name in ids:
            text = table.texts[name]
            values = np.array(text.values.to_pylist(), dtype=object)
            # An identifier that is itself called "row" does not take the place of the number.
            columns["input row" if name == "row" else name] = values[text.codes].tolist()
        rows = np.arange(len(table))
        for line in fitted.encoder.strange(table, self.written.missing):
            logger.warning("%s: %s", path, line)
        inputs = fitted.encoder.encode(table, {"new": rows}, missing=self.written.missing)["new"]
        return NewRows(inputs, labels, known, columns)

    def _tell_of_unknown_classes(self, text: Any, known: np.ndarray, path: Path) -> None:
        if text is None or self.fitted.target.task != "classification":
            return
        absent = text.among(self.written.missing)
        unknown = ~known & ~absent[text.codes]
        if unknown.any():
            names = [text.value(int(code)) for code in np.unique(text.codes[unknown])[:5]]
            logger.warning(
                "%s: %d rows have a target that is none of the classes, such as %s: they count as "
                "rows without one",
                path,
                int(unknown.sum()),
                ", ".join(map(repr, names)),
            )


def refuse_lacking(head: Head, wanted: Sequence[str]) -> None:
    """Raise a `ConfigError` where a file does not have all of these columns."""
    lacking = [name for name in wanted if name not in head.columns]
    if not lacking:
        return
    looks, hint = head.dialect.differences(sniff(head.path)), ""
    if len(head.columns) == 1 and looks:
        hint = f"; the file looks as if it were written otherwise: set {looks}"
    elif len(lacking) == 1:
        hint = did_you_mean(lacking[0], head.columns)
    raise ConfigError(
        f"{head.path}: lacks the columns {', '.join(lacking)}; it has {', '.join(head.columns)}"
        f"{hint}"
    )


@READERS.register("csv")
def csv_reader(
    state: Mapping[str, Any],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    decimal: Literal[".", ","] = ".",
    thousands: str = "",
    missing: tuple[str, ...] = MISSING,
    columns: tuple[str, ...] = (),
    preamble: str = "",
    strip_target: str = "",
) -> TableReader:
    """A reader of files that are written as the options say.

    Args:
        state: what a reader's `state()` gave.
        delimiter: what stands between two cells.
        encoding: of the text.
        decimal: "." or ",".
        thousands: what groups the digits of large numbers.
        missing: what stands for a missing value.
        columns: the names of the columns, for files without a header.
        preamble: a file's first line is skipped where it begins with this.
        strip_target: characters to take off the end of each target.

    Raises:
        DataError: the state is none.
        ConfigError: an option can't be meant.
    """
    dialect = Dialect(delimiter=delimiter, encoding=encoding, decimal=decimal, thousands=thousands)
    written = TableFormat(
        dialect=dialect,
        missing=missing,
        columns=columns,
        preamble=preamble,
        strip_target=strip_target,
    )
    return TableReader(Fitted.from_json(state), written)
