"""A metric in the unit of the data, of outputs and labels that are standardised.

    Rescaled(MeanAbsoluteError(), mean=(4201.0,), deviation=(801.0,))      # in grammes

Axes: B batch, D columns of a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.metrics.host_metric import HostMetric, is_host_metric, refuse_misfit
from jaxtrain.metrics.metric import Metric, Output, State


def in_data_unit(
    metric: Metric[Any] | HostMetric, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> Metric[Any] | HostMetric:
    """`metric` in the unit of the data, pure or on the host as it was; see `Rescaled`."""
    if is_host_metric(metric):
        return HostRescaled(metric, mean, deviation)  # type: ignore[arg-type]
    return Rescaled(metric, mean, deviation)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Rescaled(Generic[State]):
    """`metric` of outputs and labels times `deviation` plus `mean`; all else it reads as it is.

    Whatever path the metric reads below `outputs` and `labels`, it meets numbers in the unit of the
    data there. The outputs are one array, or several, of which those are meant that have the shape
    of the labels (a last axis of 1 more or less): an embedding beside them stays as it is.

    A metric that knows nothing but differences, and says so by `of_differences`, is spared the
    mean: where that is large beside the deviation, it would cost the differences their digits.

    Args:
        metric: the metric.
        mean: D numbers; one for targets `[B]`.
        deviation: D numbers above 0.

    Raises:
        DataError: means and deviations that are not as many; (from `update`) labels that are
            several arrays, outputs or labels that have other than D columns.
    """

    metric: Metric[State]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        _refuse_unlike(self.mean, self.deviation)

    def empty(self) -> State:
        """Nothing seen yet."""
        return self.metric.empty()

    def update(self, state: State, output: Output) -> State:
        """With one more output, in the unit of the data."""
        return self.metric.update(state, in_unit(output, self))

    def merge(self, a: State, b: State) -> State:
        """With what both have seen."""
        return self.metric.merge(a, b)

    def compute(self, state: State) -> jax.Array:
        """The value of the metric."""
        return self.metric.compute(state)


@dataclass(frozen=True)
class HostRescaled:
    """The same of a metric in the class form, which is updated on the host; see `Rescaled`."""

    metric: HostMetric
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        _refuse_unlike(self.mean, self.deviation)

    def reset(self) -> None:
        """Forget everything seen."""
        self.metric.reset()

    def update(self, output: Output) -> None:
        """See one more output, in the unit of the data."""
        self.metric.update(jax.device_get(in_unit(output, self)))

    def compute(self) -> Any:
        """The value of the metric."""
        return self.metric.compute()

    def refuse_misfit(self, output: Output) -> None:
        """Raise where outputs of such shapes have no such scale, or the metric can't read them."""
        given = jax.eval_shape(lambda output: in_unit(output, self), dict(output))
        refuse_misfit(self.metric, given)


def in_unit(output: Output, scale: Rescaled[Any] | HostRescaled) -> Output:
    """The output with its outputs and labels in the unit of the data.

    Args:
        output: what a step returned.
        scale: mean, deviation, and the metric that is going to read it.
    """
    changed: dict[str, Any] = {}
    shape = None
    if "labels" in output:
        labels = output["labels"]
        if len(jax.tree.leaves(labels)) != 1:
            raise DataError(
                "the scale of a target is that of one array of labels, found "
                f"{jax.tree.structure(labels)}"
            )
        shape = np.shape(jax.tree.leaves(labels)[0])
        changed["labels"] = jax.tree.map(lambda x: _scaled(x, scale), labels)
    if "outputs" in output:
        outputs = output["outputs"]
        several = len(jax.tree.leaves(outputs)) > 1
        changed["outputs"] = jax.tree.map(
            lambda x: x if several and not _fits(x, shape) else _scaled(x, scale), outputs
        )
    return {**output, **changed}


def _scaled(values: Any, scale: Rescaled[Any] | HostRescaled) -> jax.Array:
    values = jnp.asarray(values).astype(jnp.float32)
    columns = len(scale.mean)
    if columns > 1 and (values.ndim < 2 or values.shape[-1] != columns):
        raise DataError(
            f"the target has a scale of {columns} columns, found an array of {values.shape}"
        )
    deviation, mean = (
        jnp.asarray(each, jnp.float32).reshape((1,) * (values.ndim - 1) + (columns,))
        if columns > 1
        else jnp.float32(each[0])
        for each in (scale.deviation, scale.mean)
    )
    if getattr(scale.metric, "of_differences", False):
        return values * deviation
    return values * deviation + mean


def _fits(values: Any, labels: tuple[int, ...] | None) -> bool:
    """Whether an array among several holds real numbers and has the shape of the labels."""
    shape = np.shape(values)
    if labels is None or not jnp.issubdtype(jnp.result_type(values), jnp.floating):
        return False
    return shape in (labels, (*labels, 1)) or (*shape, 1) == labels


def _refuse_unlike(mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
    if not mean or len(mean) != len(deviation):
        raise DataError(
            f"Rescaled: expected as many means as deviations, found {mean!r} and {deviation!r}"
        )
