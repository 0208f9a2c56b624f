"""The focal loss: what is known already counts for less.

    loss = focal(gamma=2.0)
    total, weight = loss(logits, batch)

Axes: B batch, K classes.
"""

from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.batch import Batch
from jaxtrain.sharding import is_sharded
from jaxtrain.step.class_weights import ClassWeights, refuse_other_count, weights_by_class
from jaxtrain.step.losses import LOSSES, LossFn, at_labels, negative_log_likelihood
from jaxtrain.step.reading import classes, summed, zeroed


@LOSSES.register("focal")
def focal(
    class_counts: tuple[int, ...] | None = None,
    *,
    gamma: Annotated[float, pydantic.Field(ge=0)] = 2.0,
    class_weights: ClassWeights | None = None,
    ignore_label: int | None = None,
    outputs: str | None = None,
    labels: str = "labels",
) -> LossFn:
    """`-(1 - p)**gamma * log p` of the label's softmax probability p, in nats.

    After Lin et al. (2017), arXiv:1708.02002, eq. 4, with softmax over logits [B, ..., K] in the
    place of a sigmoid for each class. With gamma 0 it is `cross_entropy`, and so are masks, labels
    that are no class, `ignore_label` and weights; with these (alpha in eq. 5) it is a weighted
    mean.

    Args:
        class_counts: how many training rows each class has, K numbers: for "balanced" weights.
        gamma: how much less an element counts that is known already.
        class_weights: as those of `cross_entropy`.
        ignore_label: elements with this label do not count.
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
            reader="focal",
        )
        if by_class is not None:
            refuse_other_count(by_class, logits)
            of_labels = at_labels(by_class, targets, sharded=is_sharded(logits))
            weights = of_labels if weights is None else weights * of_labels
        nll = negative_log_likelihood(zeroed(logits, weights), targets)
        return summed(_unknown(nll, gamma) * nll, weights)

    return loss


def _unknown(nll: jax.Array, gamma: float) -> jax.Array:
    """`(1 - p)**gamma`, with a gradient that is finite where p is 1."""
    if gamma == 0:
        return jnp.ones_like(nll)
    rest = -jnp.expm1(-nll)  # 1 - p, to all digits
    # The derivative of a power below 1 is infinite at 0; there the loss is 0 whatever it is.
    known = rest <= 0
    return jnp.where(known, 0.0, jnp.where(known, 1.0, rest) ** gamma)
