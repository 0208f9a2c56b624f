"""Reads texts that a run has never seen as it has read those it was trained on.

    reader = READERS.build(config.data, state=saved)         # the reader "labelled_text"
    rows = reader.read(Path("new.tsv"))                      # a label need not be there
    padded(tokenizer, ["one", "and another"], length=8)      # [2, 8] tokens

Axis letters: B texts, L places of a row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.find_file import find_file
from jaxtrain.data.reader import READERS, NewRows
from jaxtrain.data.text.records import RECORD_ENDINGS, Record, holds_records, records
from jaxtrain.data.text.text_reader import tokenizer_of
from jaxtrain.data.text.tokenizer import Tokenizer
from jaxtrain.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


PADDING = 0
"""The token behind the end of a text. Those of the tokenizer are one more than it says."""


def padded(
    tokenizer: Tokenizer, texts: Sequence[str], *, length: int, what: str = "texts"
) -> np.ndarray:
    """The tokens of each text, one more than the tokenizer says, and behind them 0, `[B, L]` int32.

    How many are cut, and how many have nothing in them, is logged.

    Args:
        tokenizer: makes them.
        texts: B of them.
        length: L; what is longer is cut.
        what: how the log calls them.

    Raises:
        DataError: one can't be encoded.
    """
    rows = np.full((len(texts), length), PADDING, np.int32)
    cut = 0
    for row, tokens in zip(rows, tokenizer.encode_all(texts), strict=True):
        row[: len(tokens)] = tokens[:length] + 1
        cut += len(tokens) > length
    empty = sum(not text.strip() for text in texts)
    if cut:
        logger.warning(
            "%s: %d of %d texts are longer than data.length=%d tokens, and cut",
            what,
            cut,
            len(texts),
            length,
        )
    if empty:
        logger.warning("%s: %d of %d texts are empty or blank", what, empty, len(texts))
    return rows


class LabelledTextReader:
    """A `Reader` of records with a text each.

    Args:
        tokenizer: of the run.
        classes: in the order of their numbers.
        field: the text's name in a record.
        label: the label's.
        columns: the names of a table's columns, where it has no header.
        length: L.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        classes: tuple[str, ...],
        *,
        field: str,
        label: str,
        columns: tuple[str, ...],
        length: int,
    ) -> None:
        self.tokenizer, self.classes = tokenizer, classes
        self.field, self.label, self.columns, self.length = field, label, columns, length

    def state(self) -> Mapping[str, Any]:
        """The tokenizer's, and the classes."""
        return {"tokenizer": self.tokenizer.state(), "classes": list(self.classes)}

    def read(self, path: Path) -> NewRows:
        """The texts of a file, by their number in it, from 1.

        Raises:
            DataNotFoundError: there is no such file.
            ConfigError: it is no file of records, or they have no text of that name.
            DataError: it is broken; names the place.
        """
        path = find_file(path.parent, path.name, remedy="name a file of records")
        if not holds_records(path):
            raise ConfigError(
                f"{path}: expected a file of records ({', '.join(RECORD_ENDINGS)}), which its name "
                "is not"
            )
        found = self._records(path)
        if not found:
            raise DataError(f"{path}: expected at least one text, found none")
        texts = [record.cell(self.field) for record in found]
        inputs = padded(self.tokenizer, texts, length=self.length, what=str(path))
        labels, known = self._labels(found, path)
        return NewRows(inputs, labels, known, {"row": list(range(1, len(found) + 1))})

    def _records(self, path: Path) -> list[Record]:
        try:
            return list(records(path, self.columns))
        except DataError:
            # Without a header, texts without labels have a cell less.
            fewer = tuple(name for name in self.columns if name != self.label)
            if len(fewer) == len(self.columns):
                raise
            try:
                return list(records(path, fewer))
            except DataError:
                pass
            raise

    def _labels(
        self, found: Sequence[Record], path: Path
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Classes `[B]`, and where there is one, `[B]`; None for what all or none have."""
        places = {name: place for place, name in enumerate(self.classes)}
        said = [r.cell(self.label) if has_label(r, self.label) else None for r in found]
        labels = np.array([-1 if one is None else places.get(one, -1) for one in said], np.int32)
        strange = sorted({one for one in said if one is not None and one not in places})
        if strange:
            logger.warning(
                "%s: %d texts have a label that is none of the classes, such as %s: they count as "
                "texts without one",
                path,
                sum(one in strange for one in said),
                ", ".join(map(repr, strange[:5])),
            )
        known = labels >= 0
        if not known.any():
            return None, None
        return np.maximum(labels, 0), None if known.all() else known


def has_label(record: Record, name: str) -> bool:
    """Whether a record has a label: not where there is none of that name, or nothing in it."""
    return record.values.get(name) not in (None, "")


@READERS.register("labelled_text")
def labelled_text_reader(
    state: Mapping[str, Any],
    *,
    tokenizer: str,
    root: str,
    field: str,
    label: str,
    columns: tuple[str, ...],
    length: int,
) -> LabelledTextReader:
    """The reader of a trained model, from what it said of itself; the options are the source's."""
    classes = state.get("classes") if isinstance(state, Mapping) else None
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        raise DataError(f"the reader of labelled text: expected its classes, found {classes!r:.80}")
    return LabelledTextReader(
        tokenizer_of(state, tokenizer, root=root),
        tuple(classes),
        field=field,
        label=label,
        columns=columns,
        length=length,
    )
