"""All that was learnt from the training rows of a table: what a checkpoint keeps of it.

fitted = Fitted(encoder, target, ids=("id",))
record = fitted.to_json()
Fitted.from_json(record) == fitted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.tables.encoder import TableEncoder
from jaxtrain.data.tables.format import TableFormat
from jaxtrain.data.tables.head import Head
from jaxtrain.data.tables.reading import read_table
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.target import ClassTarget, Target, target_from_json
from jaxtrain.errors import DataError

_VERSION = 1


@dataclass(frozen=True)
class Fitted:
    """An encoder of the features, and a target.

    Args:
        encoder: of the columns to learn from.
        target: the column to predict.
        ids: columns that are not learnt from, and say which row is which.
    """

    encoder: TableEncoder
    target: Target
    ids: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: Any) -> Fitted:
        """What `to_json` gave.

        Raises:
            DataError: it is something else.
        """
        if not isinstance(record, Mapping) or record.get("version") != _VERSION:
            raise DataError(
                f"what was fitted to a table: expected version {_VERSION}, found {record!r:.80}"
            )
        ids = record.get("ids")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise DataError(f"what was fitted to a table: ids: expected names, found {ids!r:.80}")
        fitted = cls(
            TableEncoder.from_json(record.get("encoder")),
            target_from_json(record.get("target")),
            tuple(ids),
        )
        if fitted.target.name in fitted.features:
            raise DataError("what was fitted to a table: the target is one of the features")
        return fitted

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "version": _VERSION,
            "encoder": self.encoder.to_json(),
            "target": dict(self.target.to_json()),
            "ids": list(self.ids),
        }

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that are learnt from."""
        return tuple(column.name for column in self.encoder.columns)

    def read(self, head: Head, written: TableFormat, *, others: tuple[str, ...] = ()) -> Table:
        """The columns that are needed of a file, and some others as text."""
        texts = {*self.encoder.texts, *others}
        if isinstance(self.target, ClassTarget) or self.target.sign:
            texts.add(self.target.name)
        only = {*self.features, self.target.name, *others}
        return read_table(head, missing=written.missing, only=only, text=texts)

    def datasets(
        self, table: Table, written: TableFormat, parts: Mapping[str, np.ndarray]
    ) -> dict[str, Dataset]:
        """Features and labels of the rows of each part; the table is used up.

        Raises:
            DataError: a cell or a target is not what training has seen.
        """
        wanted = np.concatenate(list(parts.values()))
        labels, _ = self.target.labels(table, written, wanted)
        name = Path(table.path).parent.name or "csv"
        arrays = self.encoder.encode(table, parts, missing=written.missing)
        return {
            part: Dataset(
                arrays[part],
                labels[rows],
                name=name,
                task=self.target.task,
                num_outputs=self.target.num_outputs,
                label_names=self.target.classes,
            )
            for part, rows in parts.items()
        }
