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
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.ratio import FractionState
from jaxtrain.metrics.registry import METRICS


@METRICS.register("accuracy")
@dataclass(frozen=True, kw_only=True)
class Accuracy(MonoidMetric[FractionState]):
    """Rows whose label is among the `top_k` highest outputs, over all real rows; counted exactly.

    Of equal outputs the one of the lower class is the higher, as in argmax. A row with a NaN among
    its outputs is wrong, and so is one whose label is no class; what does not count at all, the
    mask says, or `ignore_label`.

    Reads `outputs` `[B, K]` or `[B, ..., K]` (logits or probabilities), `labels` `[B]` or
    `[B, ...]` integers, and `mask`.

    Args:
        top_k: how many of the highest outputs count as an answer.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.

    >>> output = {"outputs": [[0.1, 0.9], [0.8, 0.2]], "labels": [1, 1]}
    >>> float(Accuracy().compute(Accuracy().update(Accuracy().empty(), output)))
    0.5
    """

    state_type: ClassVar = FractionState

    top_k: Annotated[int, pydantic.Field(ge=1)] = 1
    ignore_label: int | None = None
    outputs: str = "outputs"
    labels: str = "labels"
    mask: str | None = "mask"

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1, found {self.top_k}")

    def update(self, state: FractionState, output: Output) -> FractionState:
        """With the rows of one more output.

        Raises:
            DataError: where shapes do not fit each other, labels are no integers, or there are
                fewer classes than `top_k`.
        """
        outputs, labels = self.read(output, self.outputs), self.read(output, self.labels)
        if labels.dtype == bool:
            labels = labels.astype(jnp.int32)
        self._check(outputs, labels)
        classes = outputs.shape[-1]
        wanted = labels.astype(jnp.int32)
        known = ~jnp.any(jnp.isnan(outputs), axis=-1)
        if jnp.iinfo(labels.dtype).max > jnp.iinfo(jnp.int32).max:
            # A large label must not become a class by the cast. No narrower one can.
            known &= (labels >= 0) & (labels < classes)
        if self.top_k == 1:
            hits = jnp.argmax(outputs, axis=-1).astype(jnp.int32) == wanted
        else:
            _, best = jax.lax.top_k(outputs, self.top_k)
            hits = jnp.any(best.astype(jnp.int32) == wanted[..., None], axis=-1)
        real = self.counted(output, labels, mask=self.mask)
        return state.plus(hits & known, among=real & ~self._ignored(labels))

    def _check(self, outputs: jax.Array, labels: jax.Array) -> None:
        if outputs.ndim == 0 or outputs.shape[:-1] != labels.shape:
            raise DataError(
                f"{self.title} wants labels of the shape of the outputs without its last axis; "
                f"found {self.outputs} {outputs.shape}, {self.labels} {labels.shape}"
            )
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise DataError(
                f"{self.title} wants labels that are whole numbers, found {self.labels} of "
                f"{labels.dtype}"
            )
        if self.top_k > outputs.shape[-1]:
            raise DataError(
                f"{self.title}: top_k: expected at most the number of classes, "
                f"{outputs.shape[-1]}; found {self.top_k}"
            )

    def _ignored(self, labels: jax.Array) -> jax.Array:
        limits, ignored = jnp.iinfo(labels.dtype), self.ignore_label
        if ignored is None or not limits.min <= ignored <= limits.max:
            return jnp.zeros(labels.shape, bool)
        return labels == ignored
