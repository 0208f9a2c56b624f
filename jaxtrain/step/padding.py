"""Padding must not reach the gradient, whatever stands in it.

    clean = finite_padding(batch, batch["inputs"])

A mask of 0 on a row of NaN is not enough: the gradient of what is masked away is 0, and 0 * NaN is
NaN again wherever the backward pass multiplies it with what stood in the row.

Axes: B rows, L tokens.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch, full_mask, masks, row_mask


def finite_padding(batch: Batch, tree: Any) -> Any:
    """A tree of inputs [B, ...] with 0 in the place of NaN and Inf on padding.

    Padding is what the batch's masks say where their shape begins the input's, else the rows that
    do not count; an input without the batch's axis has none. Finite padding stays as it is: a
    loader may repeat rows there for the sake of batch statistics. NaN in real rows stays, too; the
    step has to say that it is there.
    """
    candidates = [mask for mask in (full_mask(batch), row_mask(batch)) if mask is not None]

    def clean(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        fitting = [mask for mask in candidates if mask.shape == leaf.shape[: mask.ndim]]
        real = masks(fitting[0], leaf) if fitting else None
        if real is None or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jnp.where(real | jnp.isfinite(leaf), leaf, 0)

    return jax.tree.map(clean, tree) if candidates else tree
