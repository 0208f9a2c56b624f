"""Adam, with weight decay as a penalty or decoupled.

    optimizer: {name: adamw, learning_rate: 1e-3, weight_decay: 0.01}

Clipping is not here: the step clips, since it knows the global norm already.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.bias import filled
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("adamw")
def adamw(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 1e-4,
) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients.
        b2: decay of the mean of their squares.
        eps: added to the root of the second mean, in the unit of a gradient.
        weight_decay: each update also takes `learning_rate * weight_decay` of every parameter off
            it; 0 makes this plain Adam.
    """
    return injected(
        lambda rate: optax.adamw(rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay),
        learning_rate,
    )


@OPTIMIZERS.register("adam")
def adam(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
    amsgrad: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), its weight decay an L2 penalty.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients.
        b2: decay of the mean of their squares.
        eps: added to the root of the second mean, in the unit of a gradient.
        weight_decay: this times the parameters is added to the gradient, before the means, as in
            torch.optim.Adam; `adamw` decouples it.
        amsgrad: divide by the root of the largest second mean so far (Reddi et al. 2018,
            arXiv:1904.09237). The largest is taken before the correction of the bias, as in
            PyTorch; the paper corrects none, and optax takes the largest corrected one.
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = scale_by_largest(b1, b2, eps) if amsgrad else optax.scale_by_adam(b1, b2, eps)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=False)

    return injected(build, learning_rate)


def scale_by_largest(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """The first mean over the root of the largest second one; both corrected for their bias."""

    def init(params: optax.Params) -> optax.ScaleByAmsgradState:
        zeros = [jax.tree.map(jnp.zeros_like, params) for _ in range(3)]
        return optax.ScaleByAmsgradState(jnp.zeros((), jnp.int32), *zeros)

    def update(
        updates: optax.Updates, state: optax.ScaleByAmsgradState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.ScaleByAmsgradState]:
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        largest = jax.tree.map(jnp.maximum, state.nu_max, nu)
        first, second = filled(b1, count), filled(b2, count)
        scaled = jax.tree.map(lambda m, v: (m / first) / (jnp.sqrt(v / second) + eps), mu, largest)
        return scaled, optax.ScaleByAmsgradState(count, mu, nu, largest)

    return optax.GradientTransformation(init, update)
