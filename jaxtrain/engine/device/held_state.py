"""The TrainState between two dispatches: its leaves, and which of them somebody else may hold.

held = HeldState(train_state)
held.leaves, held.owned                  # what is not owned is copied before it is given away
held.replace(fixed, new)                 # what a step gave, in the place of what it was given
held.read()                              # for somebody who may keep it: none is owned any more
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


class HeldState:
    """A TrainState as leaves, and which of them somebody else may hold."""

    def __init__(self, tree: Any) -> None:
        self.leaves: list[Any]
        self.treedef: Any
        self.leaves, self.treedef = jax.tree.flatten(tree)
        # Steps keep it: structure, shapes, dtypes, and where each leaf lives.
        where = tuple(getattr(leaf, "sharding", None) for leaf in self.leaves)
        self.kind = (*kind_of(tree), where)
        # Whether nobody else may hold a leaf: those that come out of a step. What it passes through
        # may still be the very array of the state's owner.
        self.owned = [False] * len(self.leaves)
        self._tree = tree

    def tree(self) -> Any:
        """The state, for a look at its shapes."""
        if self._tree is None:
            self._tree = self.treedef.unflatten(self.leaves)
        return self._tree

    def read(self) -> Any:
        """The state, for somebody who may keep it."""
        if any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in self.leaves):
            raise RuntimeError(
                "the state went with a step that failed on the device; take up a checkpoint, or "
                "hand in another, run(..., state=...)"
            )
        self.owned = [False] * len(self.leaves)
        return self.tree()

    def replace(self, fixed: tuple[bool, ...], new: list[Any]) -> None:
        """Take the leaves that a step gave for those that it was given; the others stay."""
        given = iter(new)
        self.leaves = [
            leaf if stays else next(given) for leaf, stays in zip(self.leaves, fixed, strict=True)
        ]
        self.owned = [o or not stays for o, stays in zip(self.owned, fixed, strict=True)]
        self._tree = None


def kind_of(tree: Any, *, axes: int = 0, of: Any = None) -> tuple[Any, Any, Any]:
    """What programs are told apart by: structure, shapes and dtypes.

    Args:
        tree: of arrays, numbers, or shapes.
        axes: of every leaf, that do not count.
        of: what the tree is the data of.
    """
    leaves, treedef = jax.tree.flatten(tree)
    kinds = tuple((np.shape(x)[axes:], getattr(x, "dtype", type(x))) for x in leaves)
    return of, treedef, kinds
