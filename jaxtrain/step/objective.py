"""What is minimised: the loss of a forward pass in training, as a total and a weight.

    total, weight, seen = objective(forward(model), cross_entropy())(params, state, batch, key)

What a model sows into the collection `losses` (`self.sow("losses", "kl", kl)` in Linen or NNX; a
model written by hand gives it among its updated collections) joins the loss: the mean loss of a
batch is `total / weight` of the loss function plus the sum of all that was sown. Over micro-batches
the sown values are averaged by weight, like the loss itself; the values of a batch of padding alone
do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models import SOWN_LOSSES
from jaxtrain.optim import held
from jaxtrain.step.forward import Forward, Pass, streams
from jaxtrain.step.losses import LossFn
from jaxtrain.step.train_state import TrainState

Objective: TypeAlias = Callable[
    [Any, TrainState, Batch, jax.Array], tuple[jax.Array, jax.Array, Pass]
]
"""`objective(params, state, batch, key) -> (total, weight, seen)`."""


def objective(forward: Forward, loss: LossFn) -> Objective:
    """The loss of a training pass with `params` in the place of the state's own."""

    def minimised(
        params: Any, state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, jax.Array, Pass]:
        seen = forward(state.variables(params), batch, train=True, rngs=streams(key))
        return *total_and_weight(loss, seen, batch), seen

    return minimised


def holding(objective: Objective, patterns: Sequence[str]) -> Objective:
    """The objective without a gradient for some parameters: for these it is 0, and no work is done.

    Args:
        objective: of all parameters.
        patterns: over the parameters' paths; see `jaxtrain.optim.groups`.

    Raises:
        ConfigError: (from the objective) a pattern matches nothing, or nothing would be left.
    """

    def minimised(
        params: Any, state: TrainState, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, jax.Array, Pass]:
        stopped = jax.tree.map(
            lambda stays, param: jax.lax.stop_gradient(param) if stays else param,
            held(params, patterns),
            params,
        )
        return objective(stopped, state, batch, key)

    return minimised


def total_and_weight(loss: LossFn, seen: Pass, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """The loss of a pass, with what was sown: total and weight, float32 scalars.

    Raises:
        ConfigError: where the loss does not return two scalars.
        DataError: where the loss reads what the batch does not have.
    """
    found = loss(seen.outputs, batch)
    if not isinstance(found, tuple) or len(found) != 2 or any(map(jnp.ndim, found)):
        shapes = ", ".join(str(jnp.shape(each)) for each in jax.tree.leaves(found))
        raise ConfigError(
            "a loss returns a pair of scalars, its total over the batch and its weight (how many "
            f"elements it counts); found a {type(found).__name__} with shapes {shapes}"
        )
    total, weight = (jnp.asarray(each, jnp.float32) for each in found)
    for value in jax.tree.leaves(seen.sown.get(SOWN_LOSSES)):
        total = total + weight * jnp.sum(value, dtype=jnp.float32)
    return total, weight


def mean(total: jax.Array, weight: jax.Array) -> jax.Array:
    """`total / weight`; 0 for a batch of padding alone, whose weight is 0."""
    return total / positive(weight)


def positive(weight: jax.Array) -> jax.Array:
    """A divisor that is never zero."""
    return jnp.maximum(weight, 1e-30)
