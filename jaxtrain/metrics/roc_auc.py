"""The area under the ROC curve: how often a row of a class scores higher than one of the rest.

    trainer.add_metrics({"auc": RocAuc()})                            # binned: on the device
    evaluator.add_metrics({"auc": ExactRocAuc()})                     # on the host: all scores
    auc = RocAuc(num_classes=10, bins=4096)
    float(auc.compute(state)), float(auc.error_bound(state))

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
class RocAuc(BinnedMetric):
    """The area under the ROC curve, of scores in bins: those of one bin are ties.

    With `p` and `n` the parts of all positives and negatives in a bin, it is wrong by at most
    `sum(p * n) / 2`, half of the pairs within one bin: `error_bound`. NaN where a class has no row,
    or the rest has none, as in scikit-learn; "weighted" passes over a class without rows.

    What it reads, `OneVsRest` says; how bins lie, `BinnedMetric`.

    >>> auc = RocAuc()
    >>> output = {"outputs": [-3.0, 0.5, 0.1, 2.0], "labels": [0, 0, 1, 1]}
    >>> state = auc.update(auc.empty(), output)
    >>> float(auc.compute(state)), float(auc.error_bound(state))
    (0.75, 0.0)
    """

    def each(self, state: HistogramState) -> jax.Array:
        """The area of each column `[C]`."""
        return state.value()

    def bounds_of_each(self, state: HistogramState) -> tuple[jax.Array, jax.Array]:
        """What each column's area is at least, and at most, `[C]` both."""
        value, wrong = state.value(), state.pairs_within()
        return value - wrong, value + wrong


@dataclass(frozen=True, kw_only=True)
class ExactRocAuc(CollectedMetric):
    """The area under the ROC curve of the very scores; equal to scikit-learn's.

    NaN where a class has no row, or the rest has none; "weighted" passes over a class without rows.
    Of several classes the scores are their log-odds, which order rows as their probabilities do
    where these still differ.

    What it keeps, `CollectedMetric` says; what it reads, `OneVsRest`.

    >>> auc = ExactRocAuc()
    >>> auc.update({"outputs": [-3.0, 0.5, 0.1, 2.0], "labels": [0, 0, 1, 1]})
    >>> auc.compute()
    0.75
    """

    binned: ClassVar = "RocAuc"

    def of_column(self, truth: np.ndarray, ranks: np.ndarray) -> float:
        """The area of one class; NaN where all rows are of it, or none."""
        from sklearn.metrics import roc_auc_score

        if truth.all() or not truth.any():
            return float("nan")
        return float(roc_auc_score(truth, ranks))


@METRICS.register("roc_auc")
def roc_auc(
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
) -> RocAuc | ExactRocAuc:
    """The area under the ROC curve, of class 1 of two, or of each class against the rest.

    Args:
        num_outputs: how many classes the data have.
        exact: rank rows by their very scores, which are kept on the host: of evaluations alone, in
            training there is none. Without, by bins of them, on the device.
        average: of more than two classes, "macro" is the mean over them, "weighted" the same by how
            many rows each has.
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
        RocAuc,
        ExactRocAuc,
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
