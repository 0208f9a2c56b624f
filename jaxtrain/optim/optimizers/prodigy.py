"""Adam that finds its own learning rate.

optimizer: {name: prodigy, learning_rate: 1.0}
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.bias import filled
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("prodigy")
def prodigy(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    b3: Decay | None = None,
    eps: Epsilon = 1e-8,
    first_distance: Annotated[float, pydantic.Field(gt=0, le=1)] = 1e-6,
    distance_factor: Annotated[float, pydantic.Field(gt=0)] = 1.0,
    weight_decay: WeightDecay = 0.0,
    safeguard_warmup: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Prodigy (Mishchenko and Defazio 2023, arXiv:2306.06101, algorithm 4).

    Set `learning_rate` to 1: it scales the rate that is found, and a schedule may lower it. What is
    trained is what is evaluated.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients.
        b2: decay of the mean of their squares.
        b3: decay of the sums that estimate the distance; null is the root of `b2`.
        eps: added to the root of the second mean, times the distance.
        first_distance: the first, too small, estimate of the distance to the solution.
        distance_factor: the estimate is multiplied by it.
        weight_decay: each update also takes this, times the rate that was found and the correction
            of Adam's bias, of every parameter off it.
        safeguard_warmup: leave the rate out of the estimate's denominator, as with a long warm-up.
    """
    b3 = b2**0.5 if b3 is None else b3

    def build(rate: Any) -> optax.GradientTransformation:
        def init(params: optax.Params) -> ProdigyState:
            mu, nu, sums = (jax.tree.map(jnp.zeros_like, params) for _ in range(3))
            start = jax.tree.map(jnp.array, params)  # a copy: params are given away
            distance = jnp.asarray(first_distance, jnp.float32)
            return ProdigyState(
                jnp.zeros((), jnp.int32), mu, nu, sums, start, distance, jnp.zeros(())
            )

        def update(
            updates: optax.Updates, state: ProdigyState, params: optax.Params | None = None
        ) -> tuple[optax.Updates, ProdigyState]:
            done = optax.safe_increment(state.done)
            d = state.distance
            gamma = rate * jnp.sqrt(filled(b2, done)) / filled(b1, done)

            def mean(decay: float, before: jax.Array, new: jax.Array) -> jax.Array:
                return (decay * before + (1 - decay) * new).astype(before.dtype)

            mu = jax.tree.map(lambda m, g: mean(b1, m, d * g), state.mu, updates)
            nu = jax.tree.map(lambda v, g: mean(b2, v, (d * g) ** 2), state.nu, updates)
            # Over the first distance, since squares of small ones leave float32.
            weight = d * (d / first_distance)
            of_sums = weight if safeguard_warmup else weight * gamma
            sums = jax.tree.map(
                lambda s, g: (b3 * s + of_sums * g).astype(s.dtype), state.sums, updates
            )
            back = optax.tree.vdot(updates, jax.tree.map(lambda x0, x: x0 - x, state.start, params))
            along = b3 * state.along + weight * gamma * back
            size = optax.tree.sum(jax.tree.map(lambda s: jnp.abs(s).sum(), sums))
            # Of sums that are 0, before any step, nothing can be estimated.
            found = jnp.where(size > 0, distance_factor * along / jnp.where(size > 0, size, 1), 0)
            changes = jax.tree.map(
                lambda m, v, x: -gamma * d * (m / (jnp.sqrt(v) + d * eps) + weight_decay * x),
                mu,
                nu,
                params,
            )
            distance = jnp.maximum(d, found.astype(d.dtype))
            return changes, ProdigyState(done, mu, nu, sums, state.start, distance, along)

        return optax.GradientTransformation(init, update)

    return injected(build, learning_rate)


class ProdigyState(NamedTuple):
    """Updates done, both means, `s`, the first parameters, `d` and `r` of the paper."""

    done: jax.Array
    mu: optax.Updates
    nu: optax.Updates
    sums: optax.Updates
    start: optax.Params
    distance: jax.Array
    along: jax.Array
