"""Arrays laid out over a mesh whose axes are Explicit, where JAX refuses to guess a layout.

`jax.make_mesh` makes such axes by default: there the sharding is a part of an array's type, known
while a step is traced. On Auto axes XLA decides, and all of this does nothing.
"""

from __future__ import annotations

import math
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def is_sharded(array: jax.Array) -> bool:
    """Whether the type of an array says that it is laid out over a mesh."""
    return any(axis is not None for axis in spec_of(array))


def parts_of(array: jax.Array) -> int:
    """Over how many parts of a mesh the first axis is laid out, by its type."""
    first = next(iter(spec_of(array)), None)
    if first is None:
        return 1
    names = first if isinstance(first, tuple) else (first,)
    sizes = jax.typeof(array).sharding.mesh.shape
    return math.prod(sizes[name] for name in names)


def reshaped(array: jax.Array, shape: tuple[int, ...], *, first: int) -> jax.Array:
    """The first `first` axes as `shape`; what lies over a mesh stays there, by its last axis.

    Two axes [A, C] become one [A*C] that is laid out as C was; one axis [A*C] becomes [A, C], with
    C laid out as it was.
    """
    rest = array.shape[first:]
    if not is_sharded(array):
        return array.reshape(*shape, *rest)
    spec = spec_of(array)
    layout = PartitionSpec(*[None] * (len(shape) - 1), spec[first - 1], *spec[first:])
    whole = -1 in shape
    sizes = (array.shape[0] * array.shape[1],) if whole else shape
    return jax.lax.reshape(array, (*sizes, *rest), out_sharding=layout)


def whole_on_each(array: jax.Array) -> jax.Array:
    """The array, whole on each device of its mesh, where its type says that it is laid out."""
    if not is_sharded(array):
        return array
    mesh = jax.typeof(array).sharding.mesh
    whole: jax.Array = jax.sharding.reshard(array, NamedSharding(mesh, PartitionSpec()))
    return whole


def spec_of(array: jax.Array) -> tuple[Any, ...]:
    """What each axis is laid out over, None for nothing; empty where the type does not say."""
    sharding = getattr(jax.typeof(array), "sharding", None)
    if not isinstance(sharding, NamedSharding):
        return ()
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return ()
    spec = tuple(sharding.spec)
    return spec + (None,) * (array.ndim - len(spec))
