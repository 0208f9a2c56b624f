"""What a loss reads: one array of the outputs, integer labels, and what counts by the masks.

    weights = weights_of(batch, labels)                    # None where everything counts
    logits = zeroed(array(outputs, None, "my_loss"), weights)
    total, weight = summed(each_loss(logits, labels), weights)

Axes: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch, entry, full_mask, masks
from jaxtrain.errors import DataError


def array(outputs: Any, key: str | None, reader: str) -> jax.Array:
    """The one array that a loss reads of a model's outputs."""
    if key is not None:
        if not isinstance(outputs, Mapping):
            raise DataError(f"{reader} reads outputs[{key!r}], but the model gives no dict")
        outputs = entry(outputs, key, reader=reader, of="the model's outputs")
    elif isinstance(outputs, Mapping):
        names = ", ".join(map(repr, outputs))
        raise DataError(
            f"{reader} reads one array, but the model's outputs are a dict of {names}; name one "
            f"with outputs="
        )
    elif isinstance(outputs, tuple | list):
        raise DataError(
            f"{reader} reads one array, but the model's outputs are a {type(outputs).__name__} of "
            f"{len(outputs)}; have the model give a dict, and name one with outputs="
        )
    return jnp.asarray(outputs)


def integers(labels: Any, *, reader: str) -> jax.Array:
    """Labels, wide enough for any number of classes."""
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise DataError(
            f"{reader} wants integer labels, found {labels.dtype}; for real numbers there is "
            "loss.name=mean_squared_error"
        )
    return labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels


def classes(
    outputs: Any,
    batch: Batch,
    *,
    outputs_key: str | None,
    labels: str,
    ignore_label: int | None,
    reader: str,
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """What a loss of classes reads: logits [B, ..., K] float32, labels [B, ...], weights or None.

    Raises:
        DataError: they do not fit each other, or are not there.
    """
    logits = array(outputs, outputs_key, reader).astype(jnp.float32)
    targets = integers(entry(batch, labels, reader=reader), reader=reader)
    if logits.shape[:-1] != targets.shape:
        raise DataError(
            f"{reader}: logits {logits.shape} need labels {logits.shape[:-1]}, "
            f"found labels {targets.shape}"
        )
    weights = weights_of(batch, targets)
    if ignore_label is not None:
        ones = jnp.ones((), jnp.float32) if weights is None else weights
        weights = jnp.where(_is(targets, ignore_label), 0.0, ones)
    return logits, targets, weights


def _is(labels: jax.Array, label: int) -> jax.Array:
    """Where `labels` are `label`; unsigned ones are never negative."""
    bounds = jnp.iinfo(labels.dtype)
    if not bounds.min <= label <= bounds.max:
        return jnp.zeros(labels.shape, bool)
    return labels == label


def weights_of(batch: Batch, values: jax.Array) -> jax.Array | None:
    """The masks of a batch, as weights of the shape of `values`; None where everything counts."""
    mask = full_mask(batch)
    counts = masks(mask, values)
    if mask is None or counts is None:
        return None
    weights = jnp.where(counts, mask.reshape(counts.shape), 0.0)
    return jnp.broadcast_to(weights, values.shape)


def zeroed(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """0 where nothing counts: what stands there must not reach the gradient as 0 * NaN."""
    if weights is None:
        return values
    counts = (weights > 0).reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
    return jnp.where(counts, values, jnp.zeros((), values.dtype))


def summed(each: jax.Array, weights: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Total and weight of [B, ...]."""
    if weights is None:
        return each.sum(), jnp.asarray(each.size, jnp.float32)
    # `where`, not a product alone: a label that is no class makes NaN, and 0 * NaN is NaN.
    return jnp.where(weights > 0, each * weights, 0.0).sum(), weights.sum()
