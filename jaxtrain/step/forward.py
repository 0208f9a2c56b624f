"""A model's forward pass, the same for training and evaluation.

    run = forward(model, "bfloat16")
    seen = run(state.variables(), batch, train=True, rngs=streams(key))
    seen.outputs, seen.changes, seen.sown

The model gets weights and float inputs in the dtype of the policy; labels and masks, integers and
collections such as batch statistics stay as they are. Padding is cleaned of NaN and Inf before the
model sees it.

Axes: B rows, K classes or outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax

from jaxtrain.batch import MASK, ROW_MASK, Batch
from jaxtrain.models import Model
from jaxtrain.step.padding import finite_padding
from jaxtrain.step.precision import Policy, policy

_FIXED = ("params", "frozen")
_NOT_CAST = ("labels", MASK, ROW_MASK)


class Pass(NamedTuple):
    """What a forward pass gives.

    Attributes:
        outputs: the model's, floats as float32: [B, K], or a tree.
        changes: collections of the state with new values, as `batch_stats` in training.
        sown: collections that the state does not hold, by name; `losses` joins the loss.
    """

    outputs: Any
    changes: dict[str, Any]
    sown: dict[str, Any]


class Forward(Protocol):
    """Runs a model on a batch."""

    def __call__(
        self,
        variables: Mapping[str, Any],
        batch: Batch,
        *,
        train: bool,
        rngs: Mapping[str, jax.Array] | None = None,
    ) -> Pass:
        """From the variables in their own dtypes, and a batch as the loader gave it."""


def forward(model: Model, precision: str | Policy = "float32") -> Forward:
    """The forward pass of `model` under a precision policy.

    Raises:
        UnknownNameError: for a precision that is not known.
    """
    chosen = policy(precision)

    def run(
        variables: Mapping[str, Any],
        batch: Batch,
        *,
        train: bool,
        rngs: Mapping[str, jax.Array] | None = None,
    ) -> Pass:
        cast = {
            name: chosen.to_compute(values) if name in _FIXED else values
            for name, values in variables.items()
        }
        outputs, updated = model.apply(cast, _inputs(batch, chosen), train=train, rngs=rngs or {})
        # `params` and `frozen` are not for a forward pass to change.
        changes = {n: new for n, new in updated.items() if n in variables and n not in _FIXED}
        sown = {n: new for n, new in updated.items() if n not in variables and n not in _FIXED}
        return Pass(chosen.to_output(outputs), changes if train else {}, sown)

    return run


def streams(key: jax.Array) -> dict[str, jax.Array]:
    """The random streams of a pass. A module that draws from one of another name gets `params`."""
    return {"dropout": key, "params": jax.random.fold_in(key, 1)}


def _inputs(batch: Batch, chosen: Policy) -> dict[str, Any]:
    """The batch as the model gets it."""
    return {
        name: value if name in _NOT_CAST else chosen.to_compute(finite_padding(batch, value))
        for name, value in batch.items()
    }
