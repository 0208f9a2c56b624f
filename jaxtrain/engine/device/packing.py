"""Packing: a tree with many scalars as few arrays, one for each dtype, and back.

    packing = Packing.of(tree)                    # of arrays, tracers or shapes
    packed = packing.pack(tree)                   # inside jit: a stack for each dtype
    tree = packing.unpack(packed)                 # inside jit
    tree = packing.on_host(packed)                # numpy scalars, after one transfer for all

An array that goes into or comes out of a dispatch costs one to two microseconds, whatever its size;
a step of a small model has dozens of scalars and takes fifteen.

A tree of many members, whose leaves all have a first axis [M] more, packs and unpacks likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.engine.device.reads import on_host


class Packed(NamedTuple):
    """What a tree is packed into.

    Attributes:
        scalars: by dtype, `[n]` each, or `[M, n]`.
        arrays: the leaves that are no scalars, as they are.
    """

    scalars: dict[str, Any]
    arrays: tuple[Any, ...]


@dataclass(frozen=True)
class Packing:
    """Where each leaf of a tree is when it is packed.

    Attributes:
        treedef: the structure of the tree.
        places: for each leaf the dtype and the index in its stack, or ("", index) in the arrays.
        shapes: of the leaves.
    """

    treedef: Any
    places: tuple[tuple[str, int], ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]

    @classmethod
    def of(cls, tree: Any) -> Packing:
        """The packing of trees like this one."""
        leaves, treedef = jax.tree.flatten(tree)
        counts: dict[str, int] = {}
        places = []
        for leaf in leaves:
            name = str(leaf.dtype) if is_scalar(leaf) else ""
            places.append((name, counts.get(name, 0)))
            counts[name] = counts.get(name, 0) + 1
        shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
        return cls(treedef, tuple(places), shapes)

    def pack(self, tree: Any) -> Packed:
        """The tree as few arrays; to be traced."""
        leaves = self.treedef.flatten_up_to(tree)
        groups: dict[str, list[Any]] = {}
        for (name, _), leaf in zip(self.places, leaves, strict=True):
            groups.setdefault(name, []).append(leaf)
        arrays = tuple(groups.pop("", ()))
        return Packed({name: jnp.stack(group, axis=-1) for name, group in groups.items()}, arrays)

    def unpack(self, packed: Packed) -> Any:
        """The tree again; to be traced, or of numpy arrays."""
        return self.treedef.unflatten(
            packed.scalars[name][..., index] if name else packed.arrays[index]
            for name, index in self.places
        )

    def on_host(self, packed: Packed) -> Any:
        """The tree, its leaves numpy arrays and scalars. Waits for the device."""
        return self.unpack(on_host(packed))


def is_scalar(leaf: Any) -> bool:
    """Whether a leaf is a single number. A random key is none."""
    return np.shape(leaf) == () and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
