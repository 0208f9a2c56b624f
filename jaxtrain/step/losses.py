"""Losses as sums: `loss(outputs, batch) -> (total, weight)`; the loss is `total / weight`.

    loss = cross_entropy(label_smoothing=0.1)
    total, weight = loss(logits, batch)

Totals and weights of two batches add up to those of their union, so accumulating gradients over
micro-batches with unequal masks is exact. A mean of means is not. Where the model has several
outputs, `outputs` and `labels` name the ones to read:

    cross_entropy(outputs="digit", labels="digit")       # of {"digit": logits, "colour": ...}

Where some classes are rare, they can count for more:

    cross_entropy(class_weights=(1.0, 9.0))
    cross_entropy((900, 100), class_weights="balanced")  # the training rows of each class

Axes: B batch, K classes, D features.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pydantic

from jaxtrain.batch import Batch, entry
from jaxtrain.errors import DataError
from jaxtrain.registry import Registry
from jaxtrain.sharding import is_sharded
from jaxtrain.step.class_weights import ClassWeights, refuse_other_count, weights_by_class
from jaxtrain.step.reading import array, classes, summed, weights_of, zeroed


@runtime_checkable
class LossFn(Protocol):
    """A loss over a batch."""

    def __call__(self, outputs: Any, batch: Batch, /) -> tuple[jax.Array, jax.Array]:
        """Returns the total over the batch and its weight, both float32 scalars."""


LOSSES = Registry("loss", returns=LossFn, hint="a loss is a function (outputs, batch)")


@LOSSES.register("cross_entropy")
def cross_entropy(
    class_counts: tuple[int, ...] | None = None,
    *,
    class_weights: ClassWeights | None = None,
    label_smoothing: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.0,
    ignore_label: int | None = None,
    outputs: str | None = None,
    labels: str = "labels",
) -> LossFn:
    """Softmax cross-entropy in nats, of logits [B, ..., K] and integer labels [B, ...].

    A label that is no class makes the loss NaN, so that a step says `finite: False`; where a mask
    is 0 nothing is looked at.

    With weights the loss is a weighted mean, as PyTorch's is: the total adds up `w[label]` times
    each element's loss, the weight `w[label]` itself. An element of a class of weight 0 counts
    nowhere.

    Args:
        class_counts: how many training rows each class has, K numbers: for "balanced" weights.
        class_weights: K numbers of at least 0; or "balanced", which weighs each class by
            `rows / (classes * rows of the class)`, so that all count alike. A class without rows
            has the weight 0 then. None weighs all elements alike.
        label_smoothing: this share of each target is spread evenly over all K classes
            (Szegedy et al. 2016, arXiv 1512.00567). With weights, the share on class k counts by
            the weight of k.
        ignore_label: elements with this label do not count, as -100 in some data sets; neither in
            the total, nor in the weight, nor in the gradient.
        outputs: the key of the logits, where the model's outputs are a dict.
        labels: the key of the labels in the batch.

    Raises:
        ConfigError: "balanced" without counts, or weights that weigh nothing or are no weights;
            (from the loss) as many weights as there are no classes.
        DataError: (from the loss) where logits and labels do not fit, or are not there.
    """
    by_class = weights_by_class(class_weights, class_counts, ignored=ignore_label)

    def loss(found: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        logits, targets, weights = classes(
            found,
            batch,
            outputs_key=outputs,
            labels=labels,
            ignore_label=ignore_label,
            reader="cross_entropy",
        )
        if by_class is None:
            logits = zeroed(logits, weights)
            return summed(negative_log_likelihood(logits, targets, label_smoothing), weights)
        refuse_other_count(by_class, logits)
        of_labels = at_labels(by_class, targets, sharded=is_sharded(logits))
        ones = jnp.ones((), jnp.float32) if weights is None else weights
        counts = jnp.where(of_labels > 0, ones, 0.0)
        logits = zeroed(logits, counts)
        plain = negative_log_likelihood(logits, targets)
        total, weight = summed(plain, counts * of_labels)
        if label_smoothing:
            # Not weighted by the label: each class's share has the weight of that class.
            spread, _ = summed(_spread(logits, by_class), counts)
            total = (1 - label_smoothing) * total + label_smoothing * spread
        return total, weight

    return loss


@LOSSES.register("mean_squared_error")
def mean_squared_error(*, outputs: str | None = None, labels: str = "labels") -> LossFn:
    """Squared error, of outputs [B, D] and labels [B, D], or [B] where D is 1.

    The weight counts elements, so that the loss is the mean over examples and features.

    Args:
        outputs: the key of the predictions, where the model's outputs are a dict.
        labels: the key of the labels in the batch.

    Raises:
        DataError: (from the loss) where outputs and labels do not fit, or are not there.
    """

    def loss(found: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        predicted = array(found, outputs, "mean_squared_error").astype(jnp.float32)
        given = jnp.asarray(entry(batch, labels, reader="mean_squared_error"))
        targets = given.astype(jnp.float32)
        if targets.ndim == 1 and predicted.ndim == 2 and predicted.shape[-1] == 1:
            targets = targets[:, None]
        if targets.shape != predicted.shape:
            raise DataError(
                f"mean_squared_error: outputs {predicted.shape} need labels of that shape, found "
                f"{given.shape}"
            )
        error = predicted - targets
        weights = weights_of(batch, error)
        return summed(jnp.square(zeroed(error, weights)), weights)

    return loss


def at_labels(by_class: np.ndarray, labels: jax.Array, *, sharded: bool) -> jax.Array:
    """The weights of labels [...]; 1 where a label is no class, so that its NaN is not hidden."""
    is_class = (labels >= 0) & (labels < len(by_class))
    if sharded:  # see `negative_log_likelihood`
        each = (1,) * labels.ndim + (-1,)
        places = jnp.arange(len(by_class), dtype=labels.dtype).reshape(each)
        chosen = jnp.where(labels[..., None] == places, by_class.reshape(each), 0.0).sum(axis=-1)
    else:
        chosen = jnp.asarray(by_class)[jnp.where(is_class, labels, 0)]
    return jnp.where(is_class, chosen, 1.0)


def _spread(logits: jax.Array, by_class: np.ndarray) -> jax.Array:
    """The mean over all classes of `-w[k] log p[k]`, of logits [..., K]."""
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -(log_p * by_class.reshape((1,) * (logits.ndim - 1) + (-1,))).mean(axis=-1)


def negative_log_likelihood(
    logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0
) -> jax.Array:
    """Of logits [..., K] and labels [...]; NaN where a label is none of the K classes."""
    is_class = (labels >= 0) & (labels < logits.shape[-1])
    # What a gather does with an index out of range, it does without a word.
    safe = jnp.where(is_class, labels, 0)
    if is_sharded(logits):
        # JAX does not gather from axes that lie over a mesh by type; a sum over K, it does.
        places = jnp.arange(logits.shape[-1], dtype=safe.dtype)
        picked = jnp.where(safe[..., None] == places, logits, 0.0).sum(axis=-1)
        each = jax.nn.logsumexp(logits, axis=-1) - picked
    else:
        each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, safe)
    if label_smoothing:
        # -mean log p over all classes, from the same log-normaliser as the picked logit.
        even = jax.nn.logsumexp(logits, axis=-1) - logits.mean(axis=-1)
        each = (1 - label_smoothing) * each + label_smoothing * even
    return jnp.where(is_class, each, jnp.nan)
