"""A batch, and the one way in which training, evaluation, models and metrics read it.

    batch = {"inputs": x, "labels": y, "row_mask": rows, "mask": tokens}
    batch_size(batch)            # B
    row_mask(batch)              # [B]: a row counts where the loader and the user say so
    full_mask(batch)             # [B, L]: a token counts where its row and its own mask say so

A batch is a dict of arrays. Two masks may stand in it, and they compose: `row_mask` `[B]` is the
loader's, 0 on rows that only fill the batch up; `mask` `[B, ...]` is the user's own, over rows or
tokens. An array whose first axis is not the batch's (a scalar, class weights) passes through.

Axes: B rows, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import DataError

Batch: TypeAlias = Mapping[str, Any]

ROW_MASK = "row_mask"
MASK = "mask"


def entry(batch: Batch, key: str, *, reader: str = "the model", of: str = "the batch") -> Any:
    """`batch[key]`, or a `DataError` that lists what the batch has.

    >>> entry({"image": 1}, "inputs")
    Traceback (most recent call last):
        ...
    jaxtrain.errors.DataError: the model reads 'inputs', the batch has only 'image'
    """
    if key not in batch:
        found = ", ".join(repr(name) for name in batch) or "nothing"
        raise DataError(f"{reader} reads {key!r}, {of} has only {found}")
    return batch[key]


def batch_size(batch: Batch) -> int:
    """B: the length of `row_mask`, else of `labels`, else the first axis of all other arrays.

    Raises:
        DataError: where none of them says it, because the arrays' first axes differ.

    >>> batch_size({"alpha": np.ones(()), "inputs": np.ones((4, 2)), "labels": np.ones(4)})
    4
    """
    for key in (ROW_MASK, "labels", MASK):
        if key in batch and np.ndim(batch[key]):
            return int(np.shape(batch[key])[0])
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): int(np.shape(leaf)[0])
        for path, leaf in jax.tree_util.tree_leaves_with_path(dict(batch))
        if np.ndim(leaf)
    }
    if len(set(sizes.values())) != 1:
        raise DataError(
            "a batch's size is that of 'row_mask', of 'labels', or of all its arrays; found "
            f"{sizes or 'no array with an axis'}"
        )
    return next(iter(sizes.values()))


def has_rows(leaf: Any, size: int) -> bool:
    """Whether an array of the batch is cut into rows, `[B, ...]`; else it passes through whole."""
    return bool(np.ndim(leaf)) and np.shape(leaf)[0] == size


def full_mask(batch: Batch) -> jax.Array | None:
    """What counts, as the product of both masks; None where there is neither.

    Returns:
        `[B]` float32, or of the shape of the user's `mask` where there is one.

    Raises:
        DataError: the user's mask does not begin with the batch's axis.

    >>> full_mask({"row_mask": jnp.array([1, 0]), "mask": jnp.ones((2, 3))}).tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    rows, own = batch.get(ROW_MASK), batch.get(MASK)
    if own is None:
        return None if rows is None else jnp.asarray(rows, jnp.float32)
    own = jnp.asarray(own, jnp.float32)
    if rows is None:
        return own
    if own.ndim == 0 or own.shape[0] != np.shape(rows)[0]:
        raise DataError(
            f"the batch's 'mask' has shape {own.shape}; expected its first axis to be that of the "
            f"{np.shape(rows)[0]} rows"
        )
    return own * jnp.asarray(rows, jnp.float32).reshape(-1, *(1,) * (own.ndim - 1))


def row_mask(batch: Batch) -> jax.Array | None:
    """Which rows count, `[B]` float32: both masks, as far as they are over rows alone; or None.

    >>> row_mask({"row_mask": jnp.array([1, 0]), "mask": jnp.ones((2, 3))}).tolist()
    [1.0, 0.0]
    >>> row_mask({"row_mask": jnp.array([1, 1]), "mask": jnp.array([0, 1])}).tolist()
    [0.0, 1.0]
    """
    rows, own = batch.get(ROW_MASK), batch.get(MASK)
    if own is not None and np.ndim(own) == 1:
        return full_mask(batch)
    return None if rows is None else jnp.asarray(rows, jnp.float32)


def masks(mask: jax.Array | None, values: jax.Array) -> jax.Array | None:
    """Where `values` `[B, ...]` count, as bools of their rank that broadcast against them.

    Args:
        mask: of the first axes of the values; None where everything counts.
        values: what is masked.

    Returns:
        `mask > 0` with axes of 1 appended; None where `mask` is None.

    Raises:
        DataError: where the mask's shape does not begin that of the values.
    """
    if mask is None:
        return None
    if mask.shape != values.shape[: mask.ndim]:
        raise DataError(
            f"the mask has shape {mask.shape}, which does not begin the shape {values.shape} "
            "of what it masks"
        )
    return (mask > 0).reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
