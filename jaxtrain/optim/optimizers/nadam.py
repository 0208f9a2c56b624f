"""Adam with Nesterov's look ahead, and a momentum that grows over the first updates.

    optimizer: {name: nadamw, learning_rate: 2e-3, weight_decay: 0.01}

The momentum of update t is `b1 * (1 - 0.96**(t * momentum_decay) / 2)`, and the mean is corrected
by the product of those so far (Dozat 2016, algorithm 2 and its appendix; as torch.optim.NAdam).
`optax.nadam` keeps the momentum at `b1`, which is another method in the first thousand updates.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.bias import filled
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS

MomentumDecay = Annotated[float, pydantic.Field(ge=0, le=1)]


@OPTIMIZERS.register("nadam")
def nadam(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    momentum_decay: MomentumDecay = 4e-3,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Adam with Nesterov momentum (Dozat 2016), its weight decay an L2 penalty.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients; the momentum comes near to it.
        b2: decay of the mean of their squares.
        eps: added to the root of the second mean, in the unit of a gradient.
        momentum_decay: how fast the momentum grows from half of `b1`; 0 leaves it there.
        weight_decay: this times the parameters is added to the gradient, before the means.
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = scale_by_nadam(b1, b2, eps, momentum_decay)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=False)

    return injected(build, learning_rate)


@OPTIMIZERS.register("nadamw")
def nadamw(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    momentum_decay: MomentumDecay = 4e-3,
    weight_decay: WeightDecay = 1e-4,
) -> optax.GradientTransformationExtraArgs:
    """Adam with Nesterov momentum (Dozat 2016) and decoupled weight decay.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients; the momentum comes near to it.
        b2: decay of the mean of their squares.
        eps: added to the root of the second mean, in the unit of a gradient.
        momentum_decay: how fast the momentum grows from half of `b1`; 0 leaves it there.
        weight_decay: each update also takes `learning_rate * weight_decay` of every parameter off
            it.
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = scale_by_nadam(b1, b2, eps, momentum_decay)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=True)

    return injected(build, learning_rate)


class NadamState(NamedTuple):
    """Updates done, both means, and the product of the momenta so far."""

    done: jax.Array
    mu: optax.Updates
    nu: optax.Updates
    product: jax.Array


def scale_by_nadam(
    b1: float, b2: float, eps: float, momentum_decay: float
) -> optax.GradientTransformation:
    """The mean one momentum ahead, over the root of the second mean."""

    def momentum(step: jax.Array) -> jax.Array:
        shrunk = jnp.exp(step.astype(jnp.float32) * (momentum_decay * math.log(0.96)))
        return b1 * (1 - 0.5 * shrunk)

    def init(params: optax.Params) -> NadamState:
        mu, nu = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        return NadamState(jnp.zeros((), jnp.int32), mu, nu, jnp.ones((), jnp.float32))

    def update(
        updates: optax.Updates, state: NadamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, NadamState]:
        count = optax.safe_increment(state.done)
        now, ahead = momentum(count), momentum(count + 1)
        product = state.product * now
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        of_gradient, of_mean = (1 - now) / (1 - product), ahead / (1 - product * ahead)
        second = filled(b2, count)
        scaled = jax.tree.map(
            lambda g, m, v: (of_gradient * g + of_mean * m) / (jnp.sqrt(v / second) + eps),
            updates,
            mu,
            nu,
        )
        return scaled, NadamState(count, mu, nu, product)

    return optax.GradientTransformation(init, update)
