"""Average precision, the area under the precision-recall curve; over classes its mean is mAP.

    trainer.add_metrics({"ap": AveragePrecision()})                   # binned: on the device
    trainer.add_metrics({"map": AveragePrecision(num_classes=10)})
    evaluator.add_metrics({"map": ExactAveragePrecision(num_classes=10)})    # all scores are kept

Axes: B batch, K classes, C columns, S bins, N rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import numpy as np
import pydantic

from jaxtrain.metrics.binned import BinnedMetric
from jaxtrain.metrics.binned_or_exact import binned_or_exact
from jaxtrain.metrics.collected import CollectedMetric
from jaxtrain.metrics.histogram import HistogramState
from jaxtrain.metrics.one_vs_rest import Mean, Scores
from jaxtrain.metrics.registry import METRICS


@dataclass(frozen=True, kw_only=True)
class AveragePrecision(BinnedMetric):
    """The precision at the score of each row of a class, their mean; of scores in bins.

    Precision at a score is the part that is of the class of all rows that score as high. Scores of
    one bin are ties. The figure of the very scores is least where in each bin all of the rest come
    first, and most where all of the class do: `bounds` and `error_bound` say so of a state. A class
    without rows has 0, as in scikit-learn.

    What it reads, `OneVsRest` says; how bins lie, `BinnedMetric`.

    >>> metric = AveragePrecision()
    >>> output = {"outputs": [-3.0, 0.5, 0.1, 2.0], "labels": [0, 0, 1, 1]}
    >>> state = metric.update(metric.empty(), output)
    >>> round(float(metric.compute(state)), 4), [round(float(x), 4) for x in metric.bounds(state)]
    (0.8333, [0.8333, 0.8333])
    """

    def each(self, state: HistogramState) -> jax.Array:
        """The average precision of each column `[C]`."""
        return state.average_precision()

    def bounds_of_each(self, state: HistogramState) -> tuple[jax.Array, jax.Array]:
        """What each column's figure is at least, and at most, `[C]` both."""
        return state.precision_bounds()


@dataclass(frozen=True, kw_only=True)
class ExactAveragePrecision(CollectedMetric):
    """The precision at the very score of each row of a class, their mean; equal to scikit-learn's.

    A class without rows has 0. Of several classes the scores are their log-odds, which order rows
    as their probabilities do where these still differ.

    What it keeps, `CollectedMetric` says; what it reads, `OneVsRest`.

    >>> metric = ExactAveragePrecision()
    >>> metric.update({"outputs": [-3.0, 0.5, 0.1, 2.0], "labels": [0, 0, 1, 1]})
    >>> round(metric.compute(), 4)
    0.8333
    """

    binned: ClassVar = "AveragePrecision"

    def of_column(self, truth: np.ndarray, ranks: np.ndarray) -> float:
        """The average precision of one class; 0 where no row is of it."""
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(truth, ranks)) if truth.any() else 0.0


@METRICS.register("average_precision")
def average_precision(
    num_outputs: int,
    *,
    exact: bool = False,
    average: Mean = "macro",
    multilabel: bool = False,
    scores: Scores = "logits",
    bins: Annotated[int, pydantic.Field(ge=2, le=2**20)] | None = None,
    max_rows: Annotated[int, pydantic.Field(ge=1)] | None = None,
    ignore_label: int | None = None,
    outputs: str = "outputs",
    labels: str = "labels",
    mask: str | None = "mask",
) -> AveragePrecision | ExactAveragePrecision:
    """The area under the precision-recall curve, of class 1 of two, or of each class (mAP).

    Args:
        num_outputs: how many classes the data have.
        exact: rank rows by their very scores, which are kept on the host: of evaluations alone, in
            training there is none. Without, by bins of them, on the device.
        average: of more than two classes, "macro" is the mean over them, which is mAP, "weighted"
            the same by how many rows each has.
        multilabel: labels are 0 or 1 for each class; a row may be of any number of them.
        scores: what the outputs are, logits or probabilities.
        bins: how many there are; null is 2048.
        max_rows: of an exact one, how many rows it may keep; null is a million.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """
    return binned_or_exact(
        AveragePrecision,
        ExactAveragePrecision,
        exact=exact,
        bins=bins,
        max_rows=max_rows,
        num_classes=num_outputs,
        average=average,
        multilabel=multilabel,
        scores=scores,
        ignore_label=ignore_label,
        outputs=outputs,
        labels=labels,
        mask=mask,
    )
