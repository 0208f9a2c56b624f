"""A column of text: which of its different values stands in each row.

    column.values, column.codes                              # ["a", "b"], [0, 1, 1, 0]
    column.counts()                                          # [2, 2]

A cell is a number of four bytes; what is done to text is done once a value, not once a cell.
Axis letters: B rows, V different values.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Text:
    """Cells of text, without the blanks around them.

    Args:
        codes: `[B]` int32, places in `values`.
        values: V different texts, an arrow array in the order in which they come.
    """

    codes: np.ndarray
    values: pa.StringArray

    @classmethod
    def joined(cls, parts: Sequence[pa.DictionaryArray]) -> Text:
        """The cells of the parts, one after the other, blanks taken off."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not parts:
            return cls(np.zeros(0, np.int32), pa.array([], pa.string()))
        whole = pa.chunked_array(parts).unify_dictionaries()
        values = whole.chunk(0).dictionary
        codes = np.concatenate([chunk.indices.to_numpy() for chunk in whole.chunks])
        stripped = pc.utf8_trim_whitespace(values)
        if not stripped.equals(values):
            once = stripped.dictionary_encode()
            codes, values = once.indices.to_numpy()[codes], once.dictionary
        used = np.bincount(codes, minlength=len(values)) > 0
        if not used.all():
            codes = (np.cumsum(used) - 1)[codes]
            values = values.filter(pa.array(used))
        return cls(codes.astype(np.int32, copy=False), values)

    def __len__(self) -> int:
        return len(self.codes)

    def counts(self, rows: np.ndarray | None = None) -> np.ndarray:
        """`[V]`, how often each value stands in these rows, or in all."""
        codes = self.codes if rows is None else self.codes[rows]
        return np.bincount(codes, minlength=len(self.values))

    def among(self, cells: Collection[str]) -> np.ndarray:
        """`[V]` bool, which values are among `cells`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(set(cells)), pa.string())
        found: np.ndarray = pc.is_in(self.values, wanted).to_numpy(zero_copy_only=False)
        return found

    def value(self, code: int) -> str:
        """One of the values."""
        text: str = self.values[code].as_py()
        return text

    def first(self, which: np.ndarray, rows: np.ndarray | None = None) -> int | None:
        """The first row (of `rows`, where given) whose value is marked in `which` `[V]`."""
        codes = self.codes if rows is None else self.codes[rows]
        hits = which[codes]
        if not hits.any():
            return None
        place = int(hits.argmax())
        return place if rows is None else int(rows[place])
