"""How the state of a run lies on its mesh, in the words of a plan.

print("\\n".join(layout_lines(task)))

mesh       {data: 4, fsdp: 2, tensor: 1}, over 8 devices
layout     params 5.0 MiB on each device, of 10.0 MiB; optimizer 10.0 MiB, of 20.0 MiB
           head/kernel [512, 64] over (fsdp, tensor): 0.1 MiB on each
"""

from __future__ import annotations

import math
from typing import Any

import jax

from jaxtrain.run.task import Task
from jaxtrain.units import as_bytes

_SHOWN = 6


def layout_lines(task: Task) -> list[str]:
    """The mesh, bytes on each device, the largest parameters, and what could not be divided.

    Args:
        task: has a mesh; of one without there is nothing to say.
    """
    layout = task.layout
    if layout is None:
        return []
    state = task.abstract_state()
    parts = {"parameters": state.params, "optimizer": state.opt_state}
    said = "; ".join(
        f"{name} {as_bytes(layout.bytes_per_device(tree))} of {as_bytes(_bytes(tree))}"
        for name, tree in parts.items()
    )
    mesh = ", ".join(f"{name}: {size}" for name, size in layout.mesh.shape.items())
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    largest = sorted(leaves, key=lambda found: -found[1].size)[:_SHOWN]
    whole = layout.left_whole(state.params)
    return [
        f"mesh       {{{mesh}}}, over {layout.mesh.size:,} devices",
        f"layout     on each device {said}",
        *(f"           {_line(path, leaf)}" for path, leaf in largest),
        *(f"WHOLE      {line}" for line in whole),
    ]


def _line(path: Any, leaf: Any) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    spec = [*leaf.sharding.spec, *[None] * (leaf.ndim - len(leaf.sharding.spec))]
    over = ", ".join("whole" if axis is None else str(axis) for axis in spec)
    each = math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    return f"{name} {list(leaf.shape)} over ({over}): {as_bytes(each)} on each"


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
