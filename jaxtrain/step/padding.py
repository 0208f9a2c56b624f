"""Padding must not reach the gradient, whatever stands in it.

A mask of 0 on a row of NaN is not enough: the gradient of what is masked away is 0, and 0 * NaN is
NaN again wherever the backward pass multiplies it with what stood in the row.

Axes: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp


def real_rows(batch: Mapping[str, Any], values: jax.Array) -> jax.Array | None:
    """Where `values` [B, ...] are no padding: bool, of their rank. None where there is no mask."""
    mask = batch.get("mask")
    if mask is None or mask.shape != values.shape[: mask.ndim]:
        return None
    return (mask > 0).reshape(mask.shape + (1,) * (values.ndim - mask.ndim))


def zero_padding(batch: Mapping[str, Any], values: jax.Array) -> jax.Array:
    """`values` [B, ...] with 0 on padding."""
    real = real_rows(batch, values)
    return values if real is None else jnp.where(real, values, jnp.zeros((), values.dtype))


def finite_padding(batch: Mapping[str, Any], tree: Any) -> Any:
    """A tree of inputs [B, ...] with 0 in the place of NaN and Inf on padding.

    Finite padding stays as it is: a loader may repeat rows there for the sake of batch statistics.
    NaN in real rows stays, too; the step has to say that it is there.
    """

    def clean(leaf: jax.Array) -> jax.Array:
        real = real_rows(batch, leaf)
        if real is None or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jnp.where(real | jnp.isfinite(leaf), leaf, 0)

    return jax.tree.map(clean, tree)
