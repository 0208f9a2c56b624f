"""What metrics of the predicted class have in common: what they read, and what must fit.

    @METRICS.register("misses")
    @dataclass(frozen=True, kw_only=True)
    class Misses(ClassMetric[FractionState]):
        state_type = FractionState

        def update(self, state, output):
            outputs, labels = self.pair(output)
            missed = jnp.argmax(outputs, axis=-1) != labels
            return state.plus(missed, among=self.real(output, labels))

Axes: B batch, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from jaxtrain.errors import DataError
from jaxtrain.metrics.labels import ignored, whole
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric, MonoidState


@dataclass(frozen=True, kw_only=True)
class ClassMetric(MonoidMetric[MonoidState]):
    """Reads `outputs` `[B, ..., K]`, `labels` `[B, ...]` integers, and `mask`.

    Args:
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs (logits or probabilities) stand in the step's output, as a
            dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """

    ignore_label: int | None = None
    outputs: str = "outputs"
    labels: str = "labels"
    mask: str | None = "mask"

    def pair(self, output: Output) -> tuple[jax.Array, jax.Array]:
        """Outputs `[B, ..., K]`, and labels `[B, ...]` as integers of at least 32 bits.

        Raises:
            DataError: where shapes do not fit each other, or labels are no integers.
        """
        outputs, labels = self.read(output, self.outputs), self.read(output, self.labels)
        if outputs.ndim == 0 or outputs.shape[:-1] != labels.shape:
            raise DataError(
                f"{self.title} wants labels of the shape of the outputs without its last axis; "
                f"found {self.outputs} {outputs.shape}, {self.labels} {labels.shape}"
            )
        return outputs, whole(labels, name=self.labels, reader=self.title)

    def real(self, output: Output, labels: jax.Array) -> jax.Array:
        """Which rows count, as bools of the labels' shape: neither masked nor to be ignored."""
        real = self.counted(output, labels, mask=self.mask)
        not_ignored: Any = ~ignored(labels, self.ignore_label)
        return real & not_ignored
