"""Stochastic gradient descent, with or without momentum.

optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9, nesterov: true}
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrain.errors import ConfigError
from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.ranges import Decay, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("sgd")
def sgd(
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: Decay = 0.0,
    nesterov: bool = False,
    dampening: Decay = 0.0,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        momentum: decay of the sum of past gradients; 0 keeps none, and no state for it.
        nesterov: look one step ahead (Sutskever et al. 2013); of effect with momentum only.
        dampening: a gradient comes into the sum by 1 minus this; the first one whole, as in
            torch.optim.SGD. It wants momentum, and no `nesterov`.
        weight_decay: this times the parameters is added to the gradient, before the momentum
            (L2 regularisation, as in torch.optim.SGD).

    Raises:
        ConfigError: dampening without momentum, or with `nesterov`.
    """
    if dampening and (nesterov or not momentum):
        raise ConfigError(
            "optimizer.dampening: wants momentum, and no nesterov; found "
            f"dampening={dampening:g}, momentum={momentum:g}, nesterov={nesterov}"
        )

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        if dampening:
            descent: optax.GradientTransformation = optax.chain(
                dampened_trace(momentum, dampening), optax.scale_by_learning_rate(rate)
            )
        else:
            descent = optax.sgd(rate, momentum=momentum or None, nesterov=nesterov)
        if not weight_decay:
            return descent
        return optax.chain(optax.add_decayed_weights(weight_decay), descent)

    return injected(build, learning_rate)


class DampenedTraceState(NamedTuple):
    """The sum, and whether a gradient has come into it."""

    begun: jax.Array
    trace: optax.Updates


def dampened_trace(decay: float, dampening: float) -> optax.GradientTransformation:
    """`decay * trace + (1 - dampening) * gradient`; the first gradient is the trace."""

    def init(params: optax.Params) -> DampenedTraceState:
        return DampenedTraceState(jnp.zeros((), bool), jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: optax.Updates, state: DampenedTraceState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, DampenedTraceState]:
        share = jnp.where(state.begun, 1 - dampening, 1.0)
        trace = jax.tree.map(
            lambda t, g: decay * t + share.astype(g.dtype) * g, state.trace, updates
        )
        return trace, DampenedTraceState(jnp.ones((), bool), trace)

    return optax.GradientTransformation(init, update)
