"""A batch cut into equal parts along its rows: micro-batches, virtual shards.

    cut = Cut.of(batch, 4, asked="accumulate=4 micro-batches")
    cut.part({i: leaf[0] for i, leaf in cut.rows.items()})      # the first of them, a batch

Axes: B rows, A parts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from jaxtrain.batch import Batch, batch_size, has_rows
from jaxtrain.errors import DataError
from jaxtrain.sharding import reshaped


class Cut(NamedTuple):
    """A batch in parts.

    Attributes:
        parts: how many.
        size: rows of a part.
        rows: leaves with rows [A, B/A, ...], by their number in the tree.
        whole: leaves without, likewise.
        treedef: the batch's.
    """

    parts: int
    size: int
    rows: dict[int, jax.Array]
    whole: dict[int, Any]
    treedef: Any

    @classmethod
    def of(cls, batch: Batch, parts: int, *, asked: str) -> Cut:
        """Args:
            batch: whose leaves of as many rows as it has are cut; others stay whole.
            parts: how many.
            asked: what wants them, in words.

        Raises:
            DataError: the rows don't split into so many.
        """
        rows = batch_size(batch)
        if rows % parts:
            raise DataError(
                f"a batch of {rows} can't be split into {asked}; "
                "choose a batch size that is a multiple"
            )
        size = rows // parts
        leaves, treedef = jax.tree.flatten(dict(batch))
        own = {i: leaf for i, leaf in enumerate(leaves) if has_rows(leaf, rows)}
        split = {i: reshaped(leaf, (parts, size), first=1) for i, leaf in own.items()}
        whole = {i: leaf for i, leaf in enumerate(leaves) if i not in own}
        return cls(parts, size, split, whole, treedef)

    def part(self, rows: dict[int, jax.Array]) -> Batch:
        """The batch of one part: its rows [B/A, ...], and the leaves that stay whole."""
        leaves = self.whole | rows
        batch: Batch = jax.tree.unflatten(self.treedef, [leaves[i] for i in sorted(leaves)])
        return batch

    def joined(self, leaf: jax.Array, uncut: jax.ShapeDtypeStruct) -> jax.Array:
        """What came out of the parts, one behind the other.

        Args:
            leaf: [A, B/A, ...], or [A, ...] of what has no rows.
            uncut: what comes out of the whole batch; what has rows gets longer with it.

        Returns:
            [B, ...]; what has no rows stays [A, ...].
        """
        has_no_rows = leaf.shape[1:] == uncut.shape
        return leaf if has_no_rows else reshaped(leaf, (-1,), first=2)
