"""The rows that a classifier is most wrong about, found while it is evaluated.

    evaluator.add_metrics({"mistakes": WorstMistakes(count=16)})
    rows, label, said, loss = evaluator.run(test_loader, state=state).metrics["mistakes"].T

Axes: B batch, K classes, N the worst ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.class_metric import ClassMetric
from jaxtrain.metrics.labels import as_class
from jaxtrain.metrics.metric import Output
from jaxtrain.sharding import whole_on_each


class MistakesState(NamedTuple):
    """The worst so far, worst first; where there are fewer, the loss is -inf.

    Attributes:
        loss: float32 `[N]`.
        row: int32 `[N]`, from 0 in the order of the rows.
        label: int32 `[N]`, the class that it is.
        said: int32 `[N]`, the class that was likeliest.
        seen: int32, rows so far, padding included.
    """

    loss: jax.Array
    row: jax.Array
    label: jax.Array
    said: jax.Array
    seen: jax.Array


@dataclass(frozen=True, kw_only=True)
class WorstMistakes(ClassMetric[Any]):
    """The rows whose likeliest class is not their label, those of the largest cross-entropy first.

    It goes by logits: of probabilities the order of the losses is another. The value is float32
    `[N, 4]`: the row, from 0 in the order in which rows came, its label, the class that was said,
    and the loss, in nats; NaN in the lines that no mistake is left for. A row number is exact below
    2**24.

    Merging puts the rows of the second behind those of the first: it is associative, and not
    commutative.

    Args:
        count: N, at most.

    >>> output = {"outputs": [[0.0, 9.0], [5.0, 0.0], [0.0, 1.0]], "labels": [0, 0, 0]}
    >>> metric = WorstMistakes(count=1)
    >>> metric.compute(metric.update(metric.empty(), output)).tolist()
    [[0.0, 0.0, 1.0, 9.000123023986816]]
    """

    count: int = 16

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: expected at least 1, found {self.count}")

    def empty(self) -> MistakesState:
        """Nothing seen yet."""
        none = jnp.zeros(self.count, jnp.int32)
        loss = jnp.full(self.count, -jnp.inf, jnp.float32)
        return MistakesState(loss, none, none, none, jnp.int32(0))

    def update(self, state: MistakesState, output: Output) -> MistakesState:
        """With the rows of one more output.

        Raises:
            DataError: shapes do not fit each other, there is more than one label a row, or labels
                are no integers.
        """
        outputs, labels = self.pair(output)
        if labels.ndim != 1:
            raise DataError(f"{self.title}: expected one label a row, found {labels.shape}")
        real = whole_on_each(self.real(output, labels))
        outputs, labels = whole_on_each(outputs).astype(jnp.float32), whole_on_each(labels)
        wanted, is_class = as_class(labels, outputs.shape[-1])
        said = jnp.argmax(outputs, axis=-1).astype(jnp.int32)
        likely = jax.nn.log_softmax(outputs)
        loss = -jnp.take_along_axis(likely, wanted[:, None], axis=-1)[:, 0]
        wrong = real & is_class & (said != wanted) & ~jnp.isnan(loss)
        rows = state.seen + jnp.arange(len(labels), dtype=jnp.int32)
        loss = jnp.where(wrong, loss, -jnp.inf)
        return self._worst(state, MistakesState(loss, rows, wanted, said, jnp.int32(len(labels))))

    def merge(self, a: MistakesState, b: MistakesState) -> MistakesState:
        """With what both have seen, `a` first."""
        return self._worst(a, b._replace(row=b.row + a.seen))

    def compute(self, state: MistakesState) -> jax.Array:
        """Row, label, class said and loss of each, float32 `[N, 4]`."""
        columns = [column.astype(jnp.float32) for column in (*state[1:4], state.loss)]
        there = state.loss > -jnp.inf
        return jnp.where(there[:, None], jnp.stack(columns, axis=1), jnp.nan)

    def _worst(self, a: MistakesState, b: MistakesState) -> MistakesState:
        loss = jnp.concatenate([a.loss, b.loss])
        worst, places = jax.lax.top_k(loss, self.count)  # of equal ones the first
        row, label, said = (
            jnp.concatenate(pair)[places] for pair in zip(a[1:4], b[1:4], strict=True)
        )
        return MistakesState(worst, row, label, said, a.seen + b.seen)
