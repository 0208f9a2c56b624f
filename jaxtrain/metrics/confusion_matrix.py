"""Which class is taken for which.

    evaluator.add_metrics({"confusion": ConfusionMatrix(num_classes=10)})
    evaluator.run(loader).metrics["confusion"][3, 5]                  # threes, taken for fives

Axes: B batch, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp

from jaxtrain.metrics.averaged import refuse_other, refuse_other_classes
from jaxtrain.metrics.class_metric import ClassMetric
from jaxtrain.metrics.exact import Count
from jaxtrain.metrics.labels import as_class
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.tally import tally

Normalize: TypeAlias = Literal["true", "pred", "all"]


class ConfusionState(NamedTuple):
    """How often each class was taken for each `[K, K]`, and rows that have no place in that."""

    cells: Count
    astray: Count

    @classmethod
    def empty(cls, classes: int = 2) -> ConfusionState:
        """No rows yet."""
        return cls(Count.of(jnp.zeros((classes, classes), jnp.uint32)), Count.of(0))

    def merge(self, other: ConfusionState) -> ConfusionState:
        """With the rows of `other` added."""
        return ConfusionState(self.cells.merge(other.cells), self.astray.merge(other.astray))

    def value(self) -> jax.Array:
        """The matrix, the nearest float32; NaN where a row had no place in it."""
        with jax.debug_nans(False):  # it says that the matrix does not hold all rows
            return jnp.where(self.astray.value() > 0, jnp.nan, self.cells.value())


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix(ClassMetric[ConfusionState]):
    """How often a row of one class (down) was predicted to be of another (across), `[K, K]`.

    The class that is predicted is that of the highest output, of equals the lowest. A row whose
    label is no class, or that has a NaN among its outputs, has no place in the matrix; rather than
    being left out it makes all of it NaN, and `mask` or `ignore_label` say that it is to be left
    out. Of no rows all is 0. Counted exactly; what is given is the nearest float32.

    It is no single number: an engine has it in `state.metrics`, `evaluate` and `metrics.json` have
    it as lists, but logs, curves and monitors, which are of numbers, pass over it.

    What it reads, and what `ignore_label` is, `ClassMetric` says.

    Args:
        num_classes: K, how many outputs a row has.
        normalize: over what a cell is given as a fraction, as in scikit-learn: "true" over the rows
            of its label, "pred" over those of its prediction, "all" over all; 0 where there are
            none. None gives numbers of rows.

    >>> metric = ConfusionMatrix()
    >>> output = {"outputs": [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]], "labels": [1, 0, 1]}
    >>> metric.compute(metric.update(metric.empty(), output)).tolist()
    [[0.0, 1.0], [1.0, 1.0]]
    """

    state_type: ClassVar = ConfusionState

    num_classes: int = 2
    normalize: Normalize | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.num_classes < 2**15:
            raise ValueError(f"num_classes: expected 2 to 32,767, found {self.num_classes}")
        refuse_other("normalize", self.normalize, (*get_args(Normalize), None))

    def empty(self) -> ConfusionState:
        """Nothing seen yet."""
        return ConfusionState.empty(self.num_classes)

    def update(self, state: ConfusionState, output: Output) -> ConfusionState:
        """With the rows of one more output.

        Raises:
            DataError: where shapes do not fit each other, labels are no integers, or there are
                more or fewer than `num_classes` outputs.
        """
        classes = self.num_classes
        outputs, labels = self.pair(output)
        refuse_other_classes(self, outputs, classes)
        label, is_class = as_class(labels, classes)
        real = self.real(output, labels)
        placed = is_class & ~jnp.any(jnp.isnan(outputs), axis=-1)
        cell = label * jnp.int32(classes) + jnp.argmax(outputs, axis=-1).astype(jnp.int32)
        cells = tally(cell, where=real & placed, size=classes * classes)
        astray = jnp.sum(real & ~placed, dtype=jnp.int32)
        return state.merge(
            ConfusionState(Count.of(cells.reshape(classes, classes)), Count.of(astray))
        )

    def compute(self, state: ConfusionState) -> jax.Array:
        """The matrix `[K, K]`, float32."""
        matrix = state.value()
        if self.normalize is None:
            return matrix
        axis = {"true": 1, "pred": 0, "all": None}[self.normalize]
        total = jnp.sum(matrix, axis=axis, keepdims=True)
        with jax.debug_nans(False):
            return matrix / jnp.where(total == 0, 1.0, total)


@METRICS.register("confusion_matrix")
def confusion_matrix(
    num_outputs: int,
    *,
    normalize: Normalize | None = None,
    ignore_label: int | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> ConfusionMatrix:
    """How often a row of one class was predicted to be of another; a matrix, in metrics.json alone.

    Rows are labels, columns predictions. Logs, curves and monitors are of numbers, and pass over
    it; `evaluate` prints it.

    Args:
        num_outputs: how many classes the data have.
        normalize: over what a cell is a fraction: "true" over the rows of its label, "pred" over
            those of its prediction, "all" over all. None gives numbers of rows.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """
    return ConfusionMatrix(
        num_classes=num_outputs,
        normalize=normalize,
        ignore_label=ignore_label,
        outputs=outputs,
        labels=labels,
        mask=mask,
    )
