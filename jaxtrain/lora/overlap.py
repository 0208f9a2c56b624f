"""How far an adapter reads what adapters before it read.

    earlier = earlier_inputs([first, second], targets, params)    # their a's side by side, by path
    overlap(adapter, earlier)                                 # 0 where it reads nothing of theirs

The penalty of O-LoRA (Wang et al. 2023, arXiv:2310.14152): the columns of a span the
inputs that an adapter acts on; where they are orthogonal to those of an earlier task, the new
update does nothing to what that task's inputs had in them. It is the sum of the squares of
`a_earlier^T a`, as in the paper; its code adds up absolute values.

Axes: I inputs, R rank, C the ranks of the earlier adapters together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.targets import Target, leaves_by_path


def earlier_inputs(
    earlier: Sequence[Adapter], targets: Sequence[Target], params: Any = None, *, room: int = 0
) -> dict[str, jax.Array]:
    """What adapters before read: their a's side by side, `[..., I, C]`, by the path of the kernel.

    Args:
        earlier: adapters on the same base, or on what it was before they were merged into it.
        targets: of the adapter to come. Kernels that it leaves alone are left out.
        params: what it is made for, or the shapes of that; needed where there is `room`.
        room: C where there are fewer of them: the rest is 0. 0: as many as there are, and kernels
            of none are left out.

    Raises:
        ConfigError: one takes a kernel for other layers or inputs; or none of them has a kernel in
            common with the new one; or there is not room enough.
    """
    found: dict[str, list[jax.Array]] = {}
    own = {target.path: target for target in targets}
    for number, adapter in enumerate(earlier):
        for target in adapter.targets:
            new = own.get(target.path)
            if new is None:
                continue
            if (new.names, new.in_axes) != (target.names, target.in_axes):
                raise ConfigError(
                    f"{target.path}: earlier adapter {number} takes it for other layers, or other "
                    "inputs, than the new one does"
                )
            found.setdefault(target.path, []).append(adapter.factors[target.path]["a"])
    if earlier and not found:
        raise ConfigError(
            "orthogonal: the earlier adapters have no kernel in common with the new one, so there "
            "is nothing to be orthogonal to; leave it 0"
        )
    joined = {path: jnp.concatenate(each, axis=-1) for path, each in found.items()}
    if not room:
        return joined
    leaves = leaves_by_path(params)
    return {
        path: _in_room(joined.get(path), target, np.shape(leaves[path]), room)
        for path, target in own.items()
    }


def _in_room(
    joined: jax.Array | None, target: Target, shape: tuple[int, ...], room: int
) -> jax.Array:
    """`[..., I, room]`, filled up with zeros."""
    if joined is None:
        return jnp.zeros((*target.lead, target.sizes(shape)[0], room))
    missing = room - joined.shape[-1]
    if missing < 0:
        raise ConfigError(
            f"orthogonal: earlier adapters of {target.path} have {joined.shape[-1]} ranks "
            f"together, more than earlier_rank={room}"
        )
    return jnp.pad(joined, [*[(0, 0)] * (joined.ndim - 1), (0, missing)])


def overlap(adapter: Adapter, earlier: Mapping[str, jax.Array]) -> jax.Array:
    """The sum over modules of `|a_earlier^T a|^2`, a float32 scalar; in float32 throughout."""
    total = jnp.zeros((), jnp.float32)
    for path, before in earlier.items():
        own, before = (x.astype(jnp.float32) for x in (adapter.factors[path]["a"], before))
        # In TF32 what is orthogonal would not be.
        common = jnp.einsum("...ic,...ir->...cr", before, own, precision=jax.lax.Precision.HIGHEST)
        total = total + jnp.sum(common * common)
    return total
