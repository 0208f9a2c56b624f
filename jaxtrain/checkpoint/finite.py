"""Whether all numbers of a tree are finite.

    refuse_nonfinite(state.params, "runs/digits/a/checkpoints/00000900: params")

What was trained to NaN has no figures: each metric of it would be NaN, which JSON does not have.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.checkpoint.leaves import is_key, named_leaves
from jaxtrain.errors import NonFiniteError


def refuse_nonfinite(tree: Any, where: str) -> None:
    """See that every float in `tree` is finite. Waits for the device.

    Args:
        tree: of arrays and numbers; random keys, integers and what is no array are passed over.
        where: what it is; begins the message.

    Raises:
        NonFiniteError: naming the first leaf, in tree order, with a NaN or Inf in it, and how many
            of its elements are.
    """
    leaves = {n: leaf for n, leaf in named_leaves(tree).items() if _has_floats(leaf)}
    # All are asked before the first is waited for.
    bad = {name: _count(leaf) for name, leaf in leaves.items()}
    for name, count in bad.items():
        if int(count):
            size = int(np.size(leaves[name]))
            others = sum(bool(int(other)) for other in bad.values()) - 1
            raise NonFiniteError(
                f"{where}: {name}: {int(count):,} of {size:,} numbers are NaN or Inf"
                + (f" (and {others} more arrays have such)" if others else "")
                + ". Nothing can be computed with it; take an earlier checkpoint"
            )


def _has_floats(leaf: Any) -> bool:
    if isinstance(leaf, float | complex):
        return True
    is_array = isinstance(leaf, jax.Array | np.ndarray | np.generic) and not is_key(leaf)
    return is_array and bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _count(leaf: Any) -> Any:
    """How many are not finite: on the device for a jax array, on the host for others."""
    if isinstance(leaf, jax.Array):
        return (~jnp.isfinite(leaf)).sum()
    array = np.asarray(leaf)
    if array.dtype.kind not in "fc":  # bfloat16 and its like: numpy has no isfinite for some
        array = array.astype(np.float32)
    return (~np.isfinite(array)).sum()
