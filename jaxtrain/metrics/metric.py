"""A metric as a monoid: an empty state, an update, a merge, and a value at the end.

    metric = Accuracy()
    state = metric.empty()
    for output in outputs:                     # or as the carry of lax.scan, or a slice of vmap
        state = metric.update(state, output)
    state = metric.merge(state, state_of_another_host)
    print(metric.compute(state))

States are pytrees of fixed shape and dtype. An `output` is what a step returns: a mapping of arrays
with `outputs` `[B, K]`, `labels` `[B]`, `loss_sum`, `loss_weight` and, where rows may be padding,
`mask` `[B]` (1 for real rows, 0 for padding).

Axes: B batch, K classes or outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError

Output: TypeAlias = Mapping[str, Any]
State = TypeVar("State")


@runtime_checkable
class Metric(Protocol[State]):
    """Four pure functions. `empty()` is neutral for `merge`, and `merge` is associative."""

    def empty(self) -> State:
        """The state that has seen nothing."""

    def update(self, state: State, output: Output) -> State:
        """The state that has also seen `output`."""

    def merge(self, a: State, b: State) -> State:
        """The state that has seen what `a` and what `b` have seen."""

    def compute(self, state: State) -> jax.Array:
        """The value: a float32 scalar; NaN where nothing was seen."""


def entry(output: Output, key: str) -> jax.Array:
    """`output[key]` as an array, or a `DataError` that lists what the output has.

    >>> entry({"loss": 1.0}, "outputs")
    Traceback (most recent call last):
        ...
    jaxtrain.errors.DataError: the metric reads 'outputs', the output of the step has only 'loss'
    """
    if key not in output:
        found = ", ".join(repr(name) for name in output) or "nothing"
        raise DataError(f"the metric reads {key!r}, the output of the step has only {found}")
    return jnp.asarray(output[key])


def real_rows(output: Output, labels: jax.Array) -> jax.Array:
    """Which of `labels` are real, as bools of their shape; all, where the output has no mask.

    A mask has the shape of the labels or lacks some of its last axes (`[B]` for labels `[B, K]`).
    """
    if "mask" not in output:
        return jnp.ones(labels.shape, bool)
    mask = jnp.asarray(output["mask"])
    if mask.shape != labels.shape[: mask.ndim]:
        raise DataError(
            f"the mask has shape {mask.shape}, which does not begin the shape {labels.shape} "
            "of what it masks"
        )
    mask = mask.reshape(mask.shape + (1,) * (labels.ndim - mask.ndim))
    return jnp.broadcast_to(mask > 0, labels.shape)
