"""The fraction of rows whose label is among the k highest outputs.

    trainer.add_metrics({"accuracy": Accuracy(), "top5": Accuracy(top_k=5)})
    trainer.add_metrics({"head_a": Accuracy(outputs="outputs.a", labels="labels.a")})
    trainer.add_metrics({"tokens": Accuracy(ignore_label=-100)})

Axes: B batch, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.errors import DataError
from jaxtrain.metrics.class_metric import ClassMetric
from jaxtrain.metrics.labels import as_class
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.ratio import FractionState
from jaxtrain.metrics.registry import METRICS


@METRICS.register("accuracy")
@dataclass(frozen=True, kw_only=True)
class Accuracy(ClassMetric[FractionState]):
    """Rows whose label is among the `top_k` highest outputs, over all real rows; counted exactly.

    Of equal outputs the one of the lower class is the higher, as in argmax. A row with a NaN among
    its outputs is wrong, and so is one whose label is no class; what does not count at all, the
    mask says, or `ignore_label`.

    What it reads, and what `ignore_label` is, `ClassMetric` says.

    Args:
        top_k: how many of the highest outputs count as an answer.

    >>> output = {"outputs": [[0.1, 0.9], [0.8, 0.2]], "labels": [1, 1]}
    >>> float(Accuracy().compute(Accuracy().update(Accuracy().empty(), output)))
    0.5
    """

    state_type: ClassVar = FractionState

    top_k: Annotated[int, pydantic.Field(ge=1)] = 1

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1, found {self.top_k}")

    def update(self, state: FractionState, output: Output) -> FractionState:
        """With the rows of one more output.

        Raises:
            DataError: where shapes do not fit each other, labels are no integers, or there are
                fewer classes than `top_k`.
        """
        outputs, labels = self.pair(output)
        classes = outputs.shape[-1]
        if self.top_k > classes:
            raise DataError(
                f"{self.title}: top_k: expected at most the number of classes, {classes}; found "
                f"{self.top_k}"
            )
        wanted, is_class = as_class(labels, classes)
        known = is_class & ~jnp.any(jnp.isnan(outputs), axis=-1)
        if self.top_k == 1:
            hits = jnp.argmax(outputs, axis=-1).astype(jnp.int32) == wanted
        else:
            _, best = jax.lax.top_k(outputs, self.top_k)
            hits = jnp.any(best.astype(jnp.int32) == wanted[..., None], axis=-1)
        return state.plus(hits & known, among=self.real(output, labels))
