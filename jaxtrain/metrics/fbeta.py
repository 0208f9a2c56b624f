"""F-scores: precision and recall in one figure.

    trainer.add_metrics({"f1": FBeta()})                              # of class 1 of two
    trainer.add_metrics({"f2": FBeta(beta=2.0, num_classes=10, average="macro")})

Axes: B batch, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import pydantic

from jaxtrain.metrics.averaged import Average, AveragedMetric, ZeroDivision
from jaxtrain.metrics.class_counts import ClassCounts
from jaxtrain.metrics.registry import METRICS

Beta = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class FBeta(AveragedMetric):
    """The harmonic mean of precision and recall of a class, recall `beta**2` times as heavy.

    Averaged over classes: it is the mean of their scores, not the score of their means. How, and
    what it reads and takes, `AveragedMetric` says; a class that was neither predicted nor is any
    row's label counts as `zero_division`. After van Rijsbergen (1979), Information Retrieval, 7.

    Args:
        beta: how much recall weighs; 1 is F1, 0 the precision.

    >>> metric = FBeta()
    >>> output = {"outputs": [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]], "labels": [1, 0, 1]}
    >>> float(metric.compute(metric.update(metric.empty(), output)))
    0.5
    """

    state_type: ClassVar = ClassCounts

    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"beta: expected a number of at least 0, found {self.beta}")

    def parts(self, counts: ClassCounts) -> tuple[jax.Array, jax.Array]:
        """`(1 + beta**2)` times the right ones, over predicted and labelled ones together."""
        square = float(self.beta) ** 2
        below = square * counts.true.value() + counts.predicted.value()
        return (1.0 + square) * counts.right.value(), below


@METRICS.register("fbeta")
def fbeta(
    num_outputs: int,
    *,
    beta: Beta,
    average: Average = "binary",
    zero_division: ZeroDivision = 0,
    ignore_label: int | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> FBeta:
    """The harmonic mean of precision and recall, recall `beta**2` times as heavy, of the classes.

    Args:
        num_outputs: how many classes the data have.
        beta: how much recall weighs; 1 is F1, 0 the precision.
        average: "binary" is the figure of class 1 of two, "macro" the mean over classes, "weighted"
            the same by how often each is the label, "micro" that of all rows together.
        zero_division: what a class counts that was neither predicted nor is any row's label: 0, 1,
            or "nan", which leaves it out.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """
    return FBeta(
        beta=beta,
        num_classes=num_outputs,
        average=average,
        zero_division=zero_division,
        ignore_label=ignore_label,
        outputs=outputs,
        labels=labels,
        mask=mask,
    )


@METRICS.register("f1")
def f1(
    num_outputs: int,
    *,
    average: Average = "binary",
    zero_division: ZeroDivision = 0,
    ignore_label: int | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> FBeta:
    """The harmonic mean of precision and recall, averaged over classes.

    Args:
        num_outputs: how many classes the data have.
        average: "binary" is the figure of class 1 of two, "macro" the mean over classes, "weighted"
            the same by how often each is the label, "micro" that of all rows together.
        zero_division: what a class counts that was neither predicted nor is any row's label: 0, 1,
            or "nan", which leaves it out.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """
    return fbeta(
        num_outputs,
        beta=1.0,
        average=average,
        zero_division=zero_division,
        ignore_label=ignore_label,
        outputs=outputs,
        labels=labels,
        mask=mask,
    )
