"""What metrics of scores have in common: each class against the rest, and their average.

    found = OneVsRest(num_classes=10).read_scores(output)
    found.scores, found.truth                        # [..., C] each: what is ranked, what is true

A subclass makes a figure of each column; on the device, or on the host with `xp=numpy`.

Axes: B batch, K classes, C columns: one of two classes, K of more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.averaged import refuse_other
from jaxtrain.metrics.labels import ignored, whole
from jaxtrain.metrics.log_odds import log_odds
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.reading import counted, read

Mean: TypeAlias = Literal["macro", "weighted"]
Scores: TypeAlias = Literal["logits", "probabilities"]


class ScoresRead(NamedTuple):
    """What was read of one output, all `[..., C]`.

    Attributes:
        scores: log-odds, or probabilities: what rows are ranked by.
        truth: whether the row is of the class.
        real: whether it counts.
        sound: whether score and label are what they must be, and no NaN.
    """

    scores: Any
    truth: Any
    real: Any
    sound: Any


@dataclass(frozen=True, kw_only=True)
class OneVsRest:
    """Reads outputs and labels of classes that are told from the rest by their scores.

    | outputs                        | labels                   |                               |
    |--------------------------------|--------------------------|-------------------------------|
    | `[B, ...]` or `[B, ..., 1]`    | `[B, ...]`, 0 and 1      | scores of class 1 of two      |
    | `[B, ..., 2]`                  | `[B, ...]`, 0 and 1      | of both, of which 1 counts    |
    | `[B, ..., K]`                  | `[B, ...]`, 0 to `K - 1` | of all, each against the rest |
    | `[B, ..., K]`, `multilabel`    | `[B, ..., K]`, 0 and 1   | of K questions, yes or no     |

    Args:
        num_classes: K.
        multilabel: a row may be of any number of classes.
        average: of more than two classes, or of several labels, "macro" is the mean over classes,
            "weighted" the same by how many rows each has. Of two classes it is the figure of class
            1, whatever stands here, as in scikit-learn.
        scores: what the outputs are: "logits", or "probabilities" from 0 to 1.
        ignore_label: rows of this label don't count, as if they were masked.
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand.
        mask: where the mask stands; None where every row counts.
    """

    num_classes: int = 2
    multilabel: bool = False
    average: Mean = "macro"
    scores: Scores = "logits"
    ignore_label: int | None = None
    outputs: str = "outputs"
    labels: str = "labels"
    mask: str | None = "mask"

    def __post_init__(self) -> None:
        least = 1 if self.multilabel else 2
        if self.num_classes < least:
            raise ValueError(f"num_classes: expected at least {least}, found {self.num_classes}")
        refuse_other("average", self.average, get_args(Mean))
        refuse_other("scores", self.scores, get_args(Scores))

    @property
    def columns(self) -> int:
        """C: one where there are two classes, else a column a class."""
        return 1 if self.num_classes == 2 and not self.multilabel else self.num_classes

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"the metric {type(self).__name__}"

    def read_scores(self, output: Output, *, xp: Any = jnp) -> ScoresRead:
        """Scores and truths of one output; on the host in float64, on the device in float32.

        Raises:
            DataError: shapes do not fit each other or the number of classes, or labels are no
                whole numbers.
        """
        outputs = read(output, self.outputs, reader=self.title, xp=xp)
        labels = read(output, self.labels, reader=self.title, xp=xp)
        outputs = outputs.astype(xp.float32 if xp is jnp else xp.float64)
        labels = self._labels(labels, xp)
        self._refuse_misfit(outputs, labels)
        real = counted(output, labels, mask=self.mask, reader=self.title, xp=xp)
        real = real & ~ignored(labels, self.ignore_label, xp=xp)
        scores, sound = self._scored(outputs, labels, xp)
        truth, is_label = self._truth(labels, xp)
        if not self.multilabel:
            real = real[..., None]
        shape = scores.shape
        return ScoresRead(
            scores, truth, xp.broadcast_to(real, shape), xp.broadcast_to(sound & is_label, shape)
        )

    def mean(self, each: Any, positives: Any, *, xp: Any = jnp) -> Any:
        """The average of the figures of the columns.

        Args:
            each: `[C]`.
            positives: how many rows each column's class has, floats `[C]`.
            xp: where.
        """
        if self.columns == 1 or self.average == "macro":
            return xp.mean(each)
        total = xp.sum(positives)
        # What nobody is counts nothing, though it has no figure itself; if nobody is anything, all
        # of them say that there is none.
        weighted = xp.sum(xp.where(positives > 0, each, 0.0) * positives)
        return xp.where(total == 0, xp.mean(each), weighted / xp.where(total == 0, 1.0, total))

    def _labels(self, labels: Any, xp: Any) -> Any:
        if self.multilabel and jnp.issubdtype(labels.dtype, jnp.floating):
            return labels
        return whole(labels, name=self.labels, reader=self.title, xp=xp)

    def _refuse_misfit(self, outputs: Any, labels: Any) -> None:
        of, classes = tuple(labels.shape), self.num_classes
        if self.multilabel:
            fits = outputs.shape == of and of[-1:] == (classes,)
            wanted = f"outputs and labels [B, ..., {classes}] of one shape"
        elif classes == 2:
            fits = outputs.shape in (of, (*of, 1), (*of, 2))
            wanted = "outputs of the shape of the labels, or with a further axis of 1 or 2"
        else:
            fits = outputs.shape == (*of, classes)
            wanted = f"outputs of the shape of the labels with a further axis of {classes}"
        if not fits or not of:
            raise DataError(
                f"{self.title} of {classes} classes wants {wanted}; found {self.outputs} "
                f"{tuple(outputs.shape)}, {self.labels} {of}. Another number of classes is said by "
                "num_classes, labels that are 0 or 1 for each class by multilabel"
            )

    def _scored(self, outputs: Any, labels: Any, xp: Any) -> tuple[Any, Any]:
        """What rows are ranked by `[..., C]`, and whether it is as it must be."""
        by_class = not self.multilabel and outputs.ndim > labels.ndim and outputs.shape[-1] > 1
        if not self.multilabel and outputs.ndim == labels.ndim:
            outputs = outputs[..., None]
        if self.scores == "probabilities":
            sound = (outputs >= 0) & (outputs <= 1)
            if not by_class:
                return outputs, sound
            return outputs[..., -self.columns :], xp.all(sound, axis=-1, keepdims=True)
        scores = outputs
        if by_class:
            both = self.columns == 1
            scores = outputs[..., 1:] - outputs[..., :1] if both else log_odds(outputs, xp=xp)
        return scores, ~xp.isnan(scores)

    def _truth(self, labels: Any, xp: Any) -> tuple[Any, Any]:
        """Of which class a row is `[..., C]`, and whether its label says so."""
        if self.multilabel:
            return labels == 1, (labels == 0) | (labels == 1)
        label = labels[..., None]
        is_label = (label >= 0) & (label < self.num_classes)
        first = 1 if self.columns == 1 else 0
        return label == xp.arange(first, first + self.columns, dtype=labels.dtype), is_label
