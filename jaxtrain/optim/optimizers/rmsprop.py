"""Gradients over the root of their mean square.

optimizer: {name: rmsprop, learning_rate: 1e-3, momentum: 0.9}
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("rmsprop")
def rmsprop(
    learning_rate: optax.ScalarOrSchedule,
    *,
    decay: Decay = 0.99,
    eps: Epsilon = 1e-8,
    momentum: Decay = 0.0,
    centered: bool = False,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """RMSprop (Hinton 2012, lecture 6e of his course).

    Args:
        learning_rate: a number, or a function of the number of updates done.
        decay: of the mean square; `alpha` in PyTorch.
        eps: added to the root, as in torch.optim.RMSprop; optax adds it inside of the root where
            nothing is said.
        momentum: decay of the sum of past directions; 0 keeps none. The learning rate comes after
            it, as in PyTorch: a schedule then scales the whole sum.
        centered: divide by the root of the variance in the place of the mean square (Graves 2013,
            arXiv:1308.0850). A variance that rounding makes negative counts as 0.
        weight_decay: this times the parameters is added to the gradient (L2 regularisation).
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = (
            scale_by_deviation(decay, eps)
            if centered
            else optax.scale_by_rms(decay, eps, eps_in_sqrt=False)
        )
        if momentum:
            scaled = optax.chain(scaled, optax.trace(momentum))
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=False)

    return injected(build, learning_rate)


class DeviationState(NamedTuple):
    """Means of the gradients and of their squares."""

    mu: optax.Updates
    nu: optax.Updates


def scale_by_deviation(decay: float, eps: float) -> optax.GradientTransformation:
    """`gradient / (sqrt(max(0, nu - mu**2)) + eps)`."""

    def init(params: optax.Params) -> DeviationState:
        return DeviationState(*(jax.tree.map(jnp.zeros_like, params) for _ in range(2)))

    def update(
        updates: optax.Updates, state: DeviationState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, DeviationState]:
        mu = jax.tree.map(lambda m, g: decay * m + (1 - decay) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: decay * v + (1 - decay) * g * g, state.nu, updates)
        scaled = jax.tree.map(
            lambda g, m, v: g / (jnp.sqrt(jnp.maximum(v - m * m, 0)) + eps), updates, mu, nu
        )
        return scaled, DeviationState(mu, nu)

    return optax.GradientTransformation(init, update)
