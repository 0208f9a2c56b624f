"""What precision, recall and F-scores have in common: the counts, and how classes are averaged.

A subclass says what is divided by what:

    @dataclass(frozen=True, kw_only=True)
    class Precision(AveragedMetric):
        def parts(self, counts):
            return counts.right.value(), counts.predicted.value()

Axes: B batch, K classes.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.class_counts import ClassCounts
from jaxtrain.metrics.class_metric import ClassMetric
from jaxtrain.metrics.labels import as_class
from jaxtrain.metrics.metric import Output

Average: TypeAlias = Literal["binary", "macro", "micro", "weighted"]
ZeroDivision: TypeAlias = Literal[0, 1, "nan"]


@dataclass(frozen=True, kw_only=True)
class AveragedMetric(ClassMetric[ClassCounts]):
    """A figure of each class, averaged as scikit-learn does with `labels=range(K)`.

    The class that is predicted is that of the highest output, of equals the lowest. A row whose
    label is no class is wrong: it counts against the class that was predicted. So is one with a NaN
    among its outputs: nothing is predicted there, and its label's class was missed. NaN where no
    row counts.

    What it reads, and what `ignore_label` is, `ClassMetric` says.

    Args:
        num_classes: K, how many outputs a row has.
        average: "binary" is the figure of class 1 of two, "macro" the mean over classes, "weighted"
            the same by how often each is the label, "micro" that of all rows together, which is
            their accuracy. As in scikit-learn the default is "binary", and of more than two classes
            one of the others has to be named.
        zero_division: what a class comes to of which nothing is to be divided by, as where it was
            never predicted, for its precision: 0, 1, or "nan", which leaves it out of the average.
    """

    num_classes: int = 2
    average: Average = "binary"
    zero_division: ZeroDivision = 0

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, found {self.num_classes}")
        refuse_other("average", self.average, get_args(Average))
        refuse_other("zero_division", self.zero_division, get_args(ZeroDivision))
        if self.average == "binary" and self.num_classes != 2:
            raise ValueError(
                f"average: 'binary' is of two classes, found {self.num_classes}; choose 'macro', "
                "'micro' or 'weighted'"
            )

    @abstractmethod
    def parts(self, counts: ClassCounts) -> tuple[jax.Array, jax.Array]:
        """What is divided by what, of each class, float32 `[K]` both."""

    def empty(self) -> ClassCounts:
        """Nothing seen yet, of no class."""
        return ClassCounts.empty(self.num_classes)

    def update(self, state: ClassCounts, output: Output) -> ClassCounts:
        """With the rows of one more output.

        Raises:
            DataError: where shapes do not fit each other, labels are no integers, or there are
                more or fewer than `num_classes` outputs.
        """
        outputs, labels = self.pair(output)
        refuse_other_classes(self, outputs, self.num_classes)
        label, is_class = as_class(labels, self.num_classes)
        counts = ClassCounts.of(
            jnp.argmax(outputs, axis=-1).astype(jnp.int32),
            label,
            said=~jnp.any(jnp.isnan(outputs), axis=-1),
            classed=is_class,
            real=self.real(output, labels),
            classes=self.num_classes,
        )
        return state.merge(counts)

    def compute(self, state: ClassCounts) -> jax.Array:
        """The value, float32; NaN of nothing."""
        if self.average == "micro":
            return state.value()
        above, below = self.parts(state)
        with jax.debug_nans(False):  # NaN is an answer: of nothing, and where it was asked for
            undefined = jnp.float32(float(self.zero_division))
            each = jnp.where(below == 0, undefined, above / jnp.where(below == 0, 1.0, below))
            value = each[1] if self.average == "binary" else self._mean(each, state.true.value())
            return jnp.where(state.rows.value() == 0, jnp.nan, value)

    def _mean(self, each: jax.Array, labels: jax.Array) -> jax.Array:
        """Over the classes that have a figure; by weight, where any of these is a label at all."""
        there = ~jnp.isnan(each)
        plain = jnp.mean(each, where=there)
        if self.average == "macro":
            return plain
        weights = jnp.where(there, labels, 0.0)
        total = jnp.sum(weights)
        weighted = jnp.sum(weights * each, where=there) / jnp.where(total == 0, 1.0, total)
        return jnp.where(total == 0, plain, weighted)


def refuse_other(option: str, found: object, known: tuple[object, ...]) -> None:
    """Raise a `ValueError` where an option has a value that it does not know."""
    if found not in known:
        words = ", ".join(map(repr, known))
        raise ValueError(f"{option}: expected one of {words}, found {found!r}")


def refuse_other_classes(metric: ClassMetric, outputs: jax.Array, classes: int) -> None:
    """Raise a `DataError` where outputs `[B, ..., K]` are of more or fewer classes."""
    if outputs.shape[-1] != classes:
        raise DataError(
            f"{metric.title} was made for {classes} classes, found {metric.outputs} "
            f"{outputs.shape}; make it with num_classes={outputs.shape[-1]}"
        )
