"""Losses as sums: `loss(outputs, batch) -> (total, weight)`; the loss is `total / weight`.

    loss = cross_entropy(label_smoothing=0.1)
    total, weight = loss(logits, batch)

Totals and weights of two batches add up to those of their union, so accumulating gradients over
micro-batches with unequal masks is exact. A mean of means is not.

Axes: B batch, K classes, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.registry import Registry
from jaxtrain.step.padding import zero_padding

LOSSES = Registry("loss", returns=Callable)


class Loss(Protocol):
    """A loss over a batch."""

    def __call__(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        """Returns the total over the batch and its weight, both float32 scalars."""


@LOSSES.register("cross_entropy")
def cross_entropy(*, label_smoothing: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.0) -> Loss:
    """Softmax cross-entropy in nats, of logits [B, K] and integer `labels` [B].

    Args:
        label_smoothing: this share of each target is spread evenly over all K classes
            (Szegedy et al. 2016, arXiv 1512.00567).
    """

    def loss(outputs: Any, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        logits, labels = outputs.astype(jnp.float32), batch["labels"]
        if logits.shape[:-1] != labels.shape:
            raise ValueError(
                f"cross_entropy: logits {logits.shape} need labels {logits.shape[:-1]}, "
                f"found labels {labels.shape}"
            )
        logits = zero_padding(batch, logits)
        each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
        if label_smoothing:
            # -mean log p over all classes, from the same log-normaliser as the picked logit.
            normaliser = jax.nn.logsumexp(logits, axis=-1)
            even = normaliser - logits.mean(axis=-1)
            each = (1 - label_smoothing) * each + label_smoothing * even
        return _masked(each, batch)

    return loss


@LOSSES.register("mean_squared_error")
def mean_squared_error() -> Loss:
    """Squared error, of outputs [B, D] and `labels` [B, D], or [B] where D is 1.

    The weight counts elements, so that the loss is the mean over examples and features.
    """

    def loss(outputs: Any, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        labels = batch["labels"].astype(jnp.float32)
        if labels.ndim == 1 and outputs.ndim == 2 and outputs.shape[-1] == 1:
            labels = labels[:, None]
        if labels.shape != outputs.shape:
            raise ValueError(
                f"mean_squared_error: outputs {outputs.shape} need labels of that shape, found "
                f"{batch['labels'].shape}"
            )
        error = outputs.astype(jnp.float32) - labels
        return _masked(jnp.square(zero_padding(batch, error)), batch)

    return loss


def _masked(each: jax.Array, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
    """Sum over the unmasked elements of [B, ...], and their number."""
    mask = batch.get("mask")
    if mask is None:
        return each.sum(), jnp.asarray(each.size, jnp.float32)
    weights = jnp.broadcast_to(
        mask.astype(jnp.float32).reshape(mask.shape + (1,) * (each.ndim - mask.ndim)), each.shape
    )
    # `where`, not a product alone: a label out of range makes NaN, and 0 * NaN is NaN.
    return jnp.where(weights > 0, each * weights, 0.0).sum(), weights.sum()
