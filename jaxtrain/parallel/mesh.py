"""The mesh of a run: how its devices are arranged, and what each axis is for.

    mesh = make_mesh(data=-1, fsdp=2)        # what is left over two of them
    batch_sharding(mesh)                     # rows over data and fsdp

    data     each part has all parameters, and rows of its own
    fsdp     the same, but that each part keeps only a piece of each parameter between its uses
    tensor   each part computes a piece of each product

All axes are there in every mesh, with one part where nothing is said, so that rules can name them.

The axes are `Auto`: there XLA lays out what lies between arguments and results, and a model of
anybody's runs as it is. On `Explicit` axes, which `jax.make_mesh` makes by default, the layout is a
part of each type, and a gather or a reshape that does not say its own is an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from jaxtrain.errors import ConfigError

DATA, FSDP, TENSOR = "data", "fsdp", "tensor"
AXES = (DATA, FSDP, TENSOR)
ROWS = (DATA, FSDP)
"""The axes that the rows of a batch lie over."""


def make_mesh(
    data: int | None = None,
    fsdp: int = 1,
    tensor: int = 1,
    *,
    devices: Sequence[jax.Device] | None = None,
) -> Mesh:
    """The mesh of these sizes, over all devices of all processes.

    Args:
        data: parts of the data axis; -1, of one of the three, is what the others leave: by default
            of this one.
        fsdp: parts of the fsdp axis.
        tensor: parts of the tensor axis; neighbours, since it has the most to say.
        devices: by default all of them.

    Raises:
        ConfigError: more than one -1, or sizes that the devices do not make up.
    """
    if data is None:
        data = 1 if -1 in (fsdp, tensor) else -1
    found = jax.devices() if devices is None else list(devices)
    sizes = mesh_sizes(len(found), data=data, fsdp=fsdp, tensor=tensor)
    if devices is not None:
        arranged = np.array(found, dtype=object).reshape(sizes)
        return Mesh(arranged, AXES, axis_types=(AxisType.Auto,) * len(AXES))
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def mesh_sizes(count: int, *, data: int, fsdp: int, tensor: int) -> tuple[int, int, int]:
    """The sizes of the three axes over `count` devices.

    >>> mesh_sizes(8, data=-1, fsdp=2, tensor=1)
    (4, 2, 1)

    Raises:
        ConfigError: they do not make up `count`.
    """
    sizes = {DATA: data, FSDP: fsdp, TENSOR: tensor}
    said = ", ".join(f"{name}: {size}" for name, size in sizes.items())
    for name, size in sizes.items():
        if size < 1 and size != -1:
            raise ConfigError(f"mesh.{name}: expected 1 or more, or -1, found {size}")
    open_axes = [name for name, size in sizes.items() if size == -1]
    if len(open_axes) > 1:
        raise ConfigError(
            f"mesh: {' and '.join(open_axes)} are -1; what is left can go to one axis only"
        )
    product = math.prod(size for size in sizes.values() if size != -1)
    left, over = divmod(count, product)
    if over or not left or (left > 1 and not open_axes):
        raise ConfigError(
            f"mesh: {{{said}}} wants "
            + (f"a multiple of {product}" if open_axes else f"{product}")
            + f" devices, and there are {count}; a mesh is made of all, and -1 is what is left"
        )
    return tuple(left if size == -1 else size for size in sizes.values())  # type: ignore[return-value]


def row_parts(mesh: Mesh) -> int:
    """Over how many parts the rows of a batch lie."""
    return math.prod(mesh.shape[name] for name in ROWS)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Where the rows of a batch lie: an array [B, ...] is split by B."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def replicated(mesh: Mesh) -> NamedSharding:
    """Whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def refuse_other_mesh(mesh: Mesh | AbstractMesh) -> None:
    """See that a mesh has the axes that all here go by.

    Raises:
        ConfigError: it has others, as one that was made by hand may.
    """
    if missing := [axis for axis in AXES if axis not in mesh.shape]:
        raise ConfigError(
            f"mesh: expected the axes {', '.join(AXES)}, as jaxtrain.parallel.make_mesh makes "
            f"them, found {', '.join(map(str, mesh.shape)) or 'none'}; missing: "
            + ", ".join(missing)
        )


def refuse_unsplit(batch_size: int, mesh: Mesh, *, key: str = "data.batch_size") -> None:
    """See that the rows of a batch can be split over the mesh.

    Raises:
        ConfigError: they can't.
    """
    parts = row_parts(mesh)
    if batch_size % parts:
        raise ConfigError(
            f"{key}: expected a multiple of {parts}, over which the mesh splits the rows of a "
            f"batch, found {batch_size}"
        )
