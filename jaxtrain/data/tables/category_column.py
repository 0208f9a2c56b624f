"""A column of categories, one-hot.

    column = CategoryColumn.fit(table, "city", rows, missing=("?", ""))
    column.feature_names                            # ("city=Busan", "city=Seoul", "city=?")

Axis letters: B rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtrain.data.tables.column import Write, text_in
from jaxtrain.data.tables.kinds import MOST_CATEGORIES
from jaxtrain.data.tables.table import Table
from jaxtrain.errors import DataError


@dataclass(frozen=True, kw_only=True)
class CategoryColumn:
    """The last feature stands for missing cells and for categories that training has not seen.

    Args:
        name: the column.
        categories: those of the training cells, sorted, without the missing ones.
    """

    name: str
    categories: tuple[str, ...]

    @classmethod
    def fit(
        cls, table: Table, name: str, rows: np.ndarray, *, missing: Collection[str]
    ) -> CategoryColumn:
        """The categories among the cells in `rows`.

        Raises:
            DataError: there are too many.
        """
        import pyarrow as pa

        if name in table.numbers:  # all its cells are missing
            return cls(name=name, categories=())
        text = table.texts[name]
        there = (text.counts(rows) > 0) & ~text.among(missing)
        if there.sum() > MOST_CATEGORIES:
            raise DataError(
                f"{table.path}: column {name!r} has {there.sum():,} different values; at most "
                f"{MOST_CATEGORIES:,} become categories. List it in data.drop"
            )
        return cls(
            name=name, categories=tuple(sorted(text.values.filter(pa.array(there)).to_pylist()))
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CategoryColumn:
        """What `to_json` gave; a `DataError` where it is something else."""
        name, categories = text_in(record, "name"), record.get("categories")
        if (
            not isinstance(categories, list)
            or not all(isinstance(one, str) for one in categories)
            or len(set(categories)) < len(categories)
            or len(categories) > MOST_CATEGORIES
        ):
            raise DataError(
                f"an encoder: categories: expected different texts, found {categories!r:.80}"
            )
        return cls(name=name, categories=tuple(categories))

    def to_json(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {"kind": "category", "name": self.name, "categories": list(self.categories)}

    @property
    def is_text(self) -> bool:
        """Codes may look like numbers."""
        return True

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`name=category` for each, and `name=?` at the end."""
        return tuple(f"{self.name}={category}" for category in (*self.categories, "?"))

    def strange(self, table: Table, missing: Collection[str]) -> str:
        """What is to be said of cells that are none of the categories; empty where none is."""
        text = table.texts[self.name]
        known = text.among(self.categories) | text.among(missing)
        count = int(text.counts()[~known].sum())
        if not count:
            return ""
        names = [repr(text.value(int(code))) for code in np.flatnonzero(~known)[:3]]
        return (
            f"column {self.name!r}: {count:,} of {len(text):,} cells are none of the categories of "
            f"the training rows, such as {', '.join(names)}: they count as unknown"
        )

    def bind(self, table: Table, missing: Collection[str]) -> Write:
        """Writes `[n, categories + 1]`, one 1 in each row."""
        import pyarrow as pa
        import pyarrow.compute as pc

        unknown = len(self.categories)
        if self.name in table.numbers:

            def write_unknown(numbers: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
                out[:, unknown] = 1

            return write_unknown
        text = table.texts[self.name]
        found = pc.index_in(text.values, pa.array(self.categories, pa.string()))
        places = pc.fill_null(found, unknown).to_numpy(zero_copy_only=False)
        places = np.where(text.among(missing), unknown, places)

        def write(numbers: np.ndarray, start: int, stop: int, out: np.ndarray) -> None:
            out[np.arange(len(out)), places[text.codes[start:stop]]] = 1

        return write
