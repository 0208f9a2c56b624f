"""Precision: which part of what was called a class is of it.

    trainer.add_metrics({"precision": Precision()})                   # of class 1 of two
    trainer.add_metrics({"precision": Precision(num_classes=10, average="macro")})

Axes: B batch, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax

from jaxtrain.metrics.averaged import Average, AveragedMetric, ZeroDivision
from jaxtrain.metrics.class_counts import ClassCounts
from jaxtrain.metrics.registry import METRICS


@dataclass(frozen=True, kw_only=True)
class Precision(AveragedMetric):
    """Of the rows that were predicted to be of a class those that are, averaged over classes.

    How classes are averaged, and what it reads and takes, `AveragedMetric` says; a class that was
    never predicted counts as `zero_division`. Counted exactly.

    >>> metric = Precision()
    >>> output = {"outputs": [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]], "labels": [1, 0, 1]}
    >>> float(metric.compute(metric.update(metric.empty(), output)))
    0.5
    """

    state_type: ClassVar = ClassCounts

    def parts(self, counts: ClassCounts) -> tuple[jax.Array, jax.Array]:
        """Right ones, over all that were predicted."""
        return counts.right.value(), counts.predicted.value()


@METRICS.register("precision")
def precision(
    num_outputs: int,
    *,
    average: Average = "binary",
    zero_division: ZeroDivision = 0,
    ignore_label: int | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> Precision:
    """Of the rows that were predicted to be of a class those that are, averaged over classes.

    Args:
        num_outputs: how many classes the data have.
        average: "binary" is the figure of class 1 of two, "macro" the mean over classes, "weighted"
            the same by how often each is the label, "micro" that of all rows together.
        zero_division: what a class that was never predicted counts: 0, 1, or "nan", which leaves it
            out.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """
    return Precision(
        num_classes=num_outputs,
        average=average,
        zero_division=zero_division,
        ignore_label=ignore_label,
        outputs=outputs,
        labels=labels,
        mask=mask,
    )
