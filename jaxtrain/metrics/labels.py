"""Labels as metrics of classes take them: whole numbers, some of which may be ignored.

    labels = whole(labels, name="labels", reader="the metric Accuracy")
    label, is_class = as_class(labels, 10)               # int32, and whether it is 0 to 9
    real = counted & ~ignored(labels, -100)

On the device or, with `xp=numpy`, on the host.

Axes: B batch.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jaxtrain.errors import DataError


def whole(labels: Any, *, name: str, reader: str, xp: Any = jnp) -> Any:
    """The labels as integers of at least 32 bits; False is 0, and True 1.

    Raises:
        DataError: they are no whole numbers.
    """
    if labels.dtype == bool:
        return labels.astype(xp.int32)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise DataError(
            f"{reader} wants labels that are whole numbers, found {name} of {labels.dtype}"
        )
    return labels.astype(xp.int32) if labels.dtype.itemsize < 4 else labels


def as_class(labels: Any, classes: int, *, xp: Any = jnp) -> tuple[Any, Any]:
    """Labels as int32, and which of them are classes, 0 to `classes - 1`.

    A label of 64 bits that is none may have become one by the cast: the second says that it is not.
    """
    is_class = (labels >= 0) & (labels < classes)
    return labels.astype(xp.int32), is_class


def ignored(labels: Any, label: int | None, *, xp: Any = jnp) -> Any:
    """Which labels are the one to ignore; none, where their dtype has no room for it."""
    if label is not None and jnp.issubdtype(labels.dtype, jnp.integer):
        limits = jnp.iinfo(labels.dtype)
        label = label if limits.min <= label <= limits.max else None
    if label is None:
        return xp.zeros(labels.shape, bool)
    return labels == label
