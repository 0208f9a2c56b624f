"""What a pass in training keeps for its backward pass, found without computing either.

    kept = residuals(objective(forward(model), loss), task.abstract_state(), batch, parts=4)
    kept.activations, kept.params                             # bytes

`jax.vjp` gives the backward pass as a function that is a pytree: its leaves are what it has kept.
Traced with shapes alone, they are the residuals of any model, under any rematerialisation, rules
for gradients of one's own included, and the layers of a scan stacked. Those that are an argument of
the step (parameters, the batch) are there in any case; the others take room until they are read.

XLA may do with less, where it computes a cheap one again inside of a fusion, and takes room to work
in besides.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxtrain.batch import Batch, batch_size, has_rows
from jaxtrain.step.objective import Objective, mean
from jaxtrain.step.train_state import TrainState


class Residuals(NamedTuple):
    """Bytes that a backward pass reads, besides the arguments of the step.

    Attributes:
        activations: what depends on the batch or on random numbers, and constants.
        params: what is made of parameters alone, such as their copy in the compute dtype.
    """

    activations: int
    params: int


def residuals(
    objective: Objective, state: TrainState, batch: Batch, *, parts: int = 1
) -> Residuals:
    """What is kept from the forward to the backward pass over a micro-batch.

    Args:
        objective: what is minimised.
        state: its shapes are enough.
        batch: its shapes are enough.
        parts: how many micro-batches a batch is split into, one after the other.
    """

    def kept(params: Any, others: TrainState, batch: Batch) -> list[jax.Array]:
        def loss(params: Any) -> jax.Array:
            total, weight, _ = objective(params, others, batch, others.rng)
            return mean(total, weight)

        _, backward = jax.vjp(loss, params)
        return jax.tree.leaves(backward)

    # The parameters are an argument of their own: what is made of them alone can be told apart.
    params, others = state.params, state.replace(params=())
    traced = jax.make_jaxpr(kept)(params, others, _micro_batch(batch, parts))
    return _bytes_of(getattr(traced, "jaxpr", traced), len(jax.tree.leaves(params)))


def _micro_batch(batch: Batch, parts: int) -> dict[str, Any]:
    size = batch_size(batch)

    def cut(leaf: Any) -> jax.ShapeDtypeStruct:
        rows = (size // parts,) if has_rows(leaf, size) else leaf.shape[:1]
        return jax.ShapeDtypeStruct((*rows, *leaf.shape[1:]), leaf.dtype)

    found: dict[str, Any] = jax.tree.map(cut, dict(batch))
    return found


def _bytes_of(jaxpr: Jaxpr | ClosedJaxpr, params: int) -> Residuals:
    """Of the outputs that are no inputs.

    Args:
        jaxpr: its outputs are the residuals.
        params: how many of its first inputs are the parameters.
    """
    of_params = set(jaxpr.invars[:params])
    for equation in jaxpr.eqns:
        read = [each for each in equation.invars if not isinstance(each, Literal)]
        if read and all(each in of_params for each in read):
            of_params.update(equation.outvars)
    inputs = set(jaxpr.invars)
    outputs = (each for each in jaxpr.outvars if not isinstance(each, Literal))
    kept = [each for each in outputs if each not in inputs]
    return Residuals(
        sum(bytes_of(each.aval) for each in kept if each not in of_params),
        sum(bytes_of(each.aval) for each in kept if each in of_params),
    )


def bytes_of(tree: Any) -> int:
    """Bytes of all arrays of a tree; their shapes are enough."""
    leaves = jax.tree.leaves(tree)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
