"""The fraction of rows whose label is among the k highest outputs.

    trainer.add_metrics({"accuracy": Accuracy(), "top5": Accuracy(top_k=5)})

Axes: B batch, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.metric import Output, entry, real_rows
from jaxtrain.metrics.ratio import FractionState


@dataclass(frozen=True)
class Accuracy:
    """Rows whose label is among the `top_k` highest outputs, over all real rows; counted exactly.

    Of equal outputs the one of the lower class is the higher, as in argmax.

    Reads `outputs` `[B, K]` or `[B, ..., K]` (logits or probabilities), `labels` `[B]` or
    `[B, ...]` integers, and `mask`.

    >>> output = {"outputs": [[0.1, 0.9], [0.8, 0.2]], "labels": [1, 1]}
    >>> float(Accuracy().compute(Accuracy().update(Accuracy().empty(), output)))
    0.5
    """

    top_k: int = 1

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1, found {self.top_k}")

    def empty(self) -> FractionState:
        """No rows yet."""
        return FractionState.empty()

    def update(self, state: FractionState, output: Output) -> FractionState:
        """With the rows of one more output.

        Raises:
            DataError: where shapes do not fit each other, or there are fewer classes than `top_k`.
        """
        outputs, labels = entry(output, "outputs"), entry(output, "labels").astype(jnp.int32)
        if outputs.shape[:-1] != labels.shape or outputs.ndim == 0:
            raise DataError(
                "accuracy wants labels of the shape of the outputs without its last axis; "
                f"found outputs {outputs.shape}, labels {labels.shape}"
            )
        classes = outputs.shape[-1]
        if self.top_k > classes:
            raise DataError(
                f"top_k: expected at most the number of classes, {classes}; found {self.top_k}"
            )
        if self.top_k == 1:
            hits = jnp.argmax(outputs, axis=-1) == labels
        else:
            _, best = jax.lax.top_k(outputs, self.top_k)
            hits = jnp.any(best == labels[..., None], axis=-1)
        return state.plus(hits, among=real_rows(output, labels))

    def merge(self, a: FractionState, b: FractionState) -> FractionState:
        """With the rows of both."""
        return a.merge(b)

    def compute(self, state: FractionState) -> jax.Array:
        """The fraction, 0 to 1; NaN of no rows."""
        return state.value()
