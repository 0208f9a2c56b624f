"""Adam whose first steps are those of momentum, until the second mean can be trusted.

    optimizer: {name: radam, learning_rate: 1e-3}

Written here since in float32 `optax.radam` loses digits of the length of the average (equation 5)
in the first updates: with `b2` of 0.999 the first rectified steps are 1 % off, with 0.9999 they are
twice as long as they should be.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.bias import filled
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS

_TRUSTED = 5.0


@OPTIMIZERS.register("radam")
def radam(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    decoupled: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265).

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients.
        b2: decay of the mean of their squares.
        eps: added to the root of the second mean before that is corrected for its bias, as in
            torch.optim.RAdam; the paper has none.
        weight_decay: how much the parameters decay.
        decoupled: let each update take `learning_rate * weight_decay` of every parameter off it, as
            in the paper; otherwise `weight_decay` times the parameters is added to the gradient, as
            PyTorch does where nothing is said.
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = scale_by_rectified(b1, b2, eps)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=decoupled)

    return injected(build, learning_rate)


def scale_by_rectified(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Algorithm 2: the corrected mean, and from a length of 5 on over the root of the second."""
    longest = 2 / (1 - b2) - 1

    def rectified(count: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Whether the second mean is trusted, and by how much of it (equation 5 and `r_t`)."""
        power = jnp.exp(count.astype(jnp.float32) * math.log(b2)) if b2 else jnp.float32(0)
        length = longest - 2 * count * power / filled(b2, count)
        trusted = length > _TRUSTED
        safe = jnp.where(trusted, length, _TRUSTED + 1)
        share = (safe - 4) * (safe - 2) / safe * (longest / ((longest - 4) * (longest - 2)))
        return trusted, jnp.sqrt(share)

    def init(params: optax.Params) -> optax.ScaleByAdamState:
        zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(2)]
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), *zeros)

    def update(
        updates: optax.Updates, state: optax.ScaleByAdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.ScaleByAdamState]:
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        first, root = filled(b1, count), jnp.sqrt(filled(b2, count))
        if longest <= _TRUSTED:  # so short an average is never trusted
            return jax.tree.map(lambda m: m / first, mu), optax.ScaleByAdamState(count, mu, nu)
        trusted, share = rectified(count)
        scaled = jax.tree.map(
            lambda m, v: m / first * jnp.where(trusted, share * root / (jnp.sqrt(v) + eps), 1),
            mu,
            nu,
        )
        return scaled, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)
