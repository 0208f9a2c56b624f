"""A model as two pure functions, whatever library its layers come from.

    model = from_linen(nn.Dense(10))
    variables = model.init(jax.random.key(0), batch)
    outputs, updated = model.apply(variables, batch, train=True, rngs={"dropout": key})

`variables` is a plain nested dict of arrays, one entry a collection: `params` is what is trained,
everything else (`batch_stats`, ...) is state that a forward pass in training may change.

Axes: B batch, K classes or outputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import jax

from jaxtrain.errors import DataError

Batch: TypeAlias = Mapping[str, Any]
Variables: TypeAlias = Mapping[str, Any]
Rngs: TypeAlias = Mapping[str, jax.Array]


class Init(Protocol):
    """Makes the variables of a model."""

    def __call__(self, rng: jax.Array, batch: Batch) -> dict[str, Any]:
        """From a key and a batch (of which only shapes and dtypes matter) to all variables."""


class Apply(Protocol):
    """Runs a model forward."""

    def __call__(
        self, variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[jax.Array, dict[str, Any]]:
        """From variables and a batch to `(outputs, updated_collections)`."""


@dataclass(frozen=True)
class Model:
    """Two pure functions; both may be traced, and neither holds an array of its own.

    Attributes:
        init: `init(rng, batch) -> variables`, a dict `{"params": ..., other collections}`; `params`
            is always there, if only as `{}`.
        apply: `apply(variables, batch, *, train, rngs=None) -> (outputs, updated_collections)`.
            `outputs` are `[B, K]` in the dtype the parameters were given in;
            `updated_collections` holds every collection but `params` in training, and is `{}` in
            evaluation. `rngs` are keys by stream name (`{"dropout": key}`), needed in training
            by models that draw random numbers.
    """

    init: Init
    apply: Apply


def entry(batch: Batch, key: str) -> Any:
    """`batch[key]`, or a `DataError` that lists what the batch has.

    >>> entry({"image": 1}, "inputs")
    Traceback (most recent call last):
        ...
    jaxtrain.errors.DataError: the model reads 'inputs', the batch has only 'image'
    """
    if key not in batch:
        found = ", ".join(repr(name) for name in batch) or "nothing"
        raise DataError(f"the model reads {key!r}, the batch has only {found}")
    return batch[key]


def call_options(module: Any, batch: Batch, *, train: bool) -> dict[str, Any]:
    """What of `train` and the batch's `mask` the `__call__` of `module` names in its signature."""
    wanted = inspect.signature(type(module).__call__).parameters
    offered = {"train": train, "mask": batch.get("mask")}
    return {name: value for name, value in offered.items() if name in wanted}
