"""Where the leaves of a state lie on a mesh: by rules over their paths, or by their shapes.

    layout = Layout(mesh, rules=model.layout)
    shardings = layout.of(jax.eval_shape(make))        # a tree like the state
    state = layout.create(make)                        # no device ever holds all of it

A rule is a pattern over paths and, for each axis of the leaf, the axis of the mesh that it lies
over, or None:

    RULES = (("layers/*/kernel", (None, "fsdp", "tensor")), ("embedding", ("tensor", "fsdp")))

Patterns are those of a shell, and match the end of a path, so that a moment of an optimizer lies
as its parameter does. The first rule that matches, and is of as many axes, counts. Where none does,
the largest axis that can be divided lies over `fsdp`, if the leaf has at least `SMALL` numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxtrain.errors import ConfigError
from jaxtrain.parallel.mesh import AXES, FSDP, refuse_other_mesh

Rule: TypeAlias = tuple[str, tuple[str | None, ...]]

SMALL = 4096
"""A leaf of fewer numbers lies whole on each device: to gather it costs more than to keep it."""


@dataclass(frozen=True)
class Layout:
    """How a tree lies on a mesh.

    Args:
        mesh: the devices.
        rules: the first that matches counts; see the module.

    Raises:
        ConfigError: the mesh, or a rule, has other axes than those of `make_mesh`.
    """

    mesh: Mesh
    rules: Sequence[Rule] = ()

    def __post_init__(self) -> None:
        refuse_other_mesh(self.mesh)
        for pattern, axes in self.rules:
            if unknown := [axis for axis in axes if axis is not None and axis not in AXES]:
                raise ConfigError(
                    f"layout: rule {pattern!r}: expected axes among {', '.join(AXES)}, found "
                    + ", ".join(map(repr, unknown))
                )

    def of(self, tree: Any) -> Any:
        """A tree of shardings.

        Args:
            tree: of arrays, or of their shapes.
        """
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: NamedSharding(self.mesh, self.spec(named(path), leaf.shape)), tree
        )

    def spec(self, path: str, shape: tuple[int, ...]) -> PartitionSpec:
        """How a leaf lies: its path is joined by "/".

        An axis that does not divide into the parts of the mesh's stays whole; `left_whole` tells.
        """
        rule = self._rule(path, shape)
        if rule is None:
            return _largest_axis(shape, self.mesh.shape[FSDP])
        fits = [
            name if name is None or size % self.mesh.shape[name] == 0 else None
            for name, size in zip(rule, shape, strict=True)
        ]
        return PartitionSpec(*fits)

    def left_whole(self, tree: Any) -> list[str]:
        """What a rule would divide, and can't, in words."""
        found = []
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            name, shape = named(path), leaf.shape
            for axis, size in zip(self._rule(name, shape) or (), shape, strict=False):
                if axis is not None and size % self.mesh.shape[axis]:
                    found.append(
                        f"{name}: an axis of {size} does not divide into the "
                        f"{self.mesh.shape[axis]} parts of {axis}, and stays whole"
                    )
        return found

    def create(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """What `make(*arguments)` gives, each leaf computed where it lies, and nowhere else."""
        where = self.of(jax.eval_shape(make, *arguments))
        return jax.jit(make, out_shardings=where)(*arguments)

    def place(self, tree: Any) -> Any:
        """Arrays that were made elsewhere, each where it is to lie.

        Every process has to hand in the same.
        """
        return jax.tree.map(put, tree, self.of(tree))

    def abstract(self, shapes: Any) -> Any:
        """Shapes that say where their arrays are to lie."""
        return jax.tree.map(
            lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
            shapes,
            self.of(shapes),
        )

    def bytes_per_device(self, tree: Any) -> int:
        """What one device holds of a tree of arrays or shapes."""
        where = jax.tree.leaves(self.of(tree))
        return sum(
            math.prod(sharding.shard_shape(leaf.shape)) * _itemsize(leaf.dtype)
            for leaf, sharding in zip(jax.tree.leaves(tree), where, strict=True)
        )

    def _rule(self, path: str, shape: tuple[int, ...]) -> tuple[str | None, ...] | None:
        for pattern, axes in self.rules:
            if len(axes) == len(shape) and (
                fnmatchcase(path, pattern) or fnmatchcase(path, f"*/{pattern}")
            ):
                return axes
        return None


def _largest_axis(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    divisible = [axis for axis, size in enumerate(shape) if size % parts == 0]
    if parts == 1 or not divisible or math.prod(shape) < SMALL:
        return PartitionSpec()
    largest = max(divisible, key=lambda axis: shape[axis])
    return PartitionSpec(*[None] * largest, FSDP)


def put(leaf: Any, where: NamedSharding) -> jax.Array:
    """An array where it is to lie; every process that has a part of that hands in the same."""
    there = isinstance(leaf, jax.Array) and leaf.sharding == where
    if there or where.is_fully_addressable:
        return jax.device_put(leaf, where)
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        # It lies over several processes already, in another way: no host has all of it.
        moved: jax.Array = jax.jit(lambda array: array, out_shardings=where)(leaf)
        return moved
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = jax.random.key_data(leaf)
        whole = NamedSharding(where.mesh, PartitionSpec())
        return jax.random.wrap_key_data(put(data, whole), impl=jax.random.key_impl(leaf))
    held = np.asarray(leaf)
    return jax.make_array_from_callback(held.shape, where, lambda index: held[index])


def named(path: Any) -> str:
    """A path in a tree, its parts joined by "/"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _itemsize(dtype: Any) -> int:
    # Of a random key it is that of what it is made of.
    return int(getattr(dtype, "itemsize", 0)) or 8
