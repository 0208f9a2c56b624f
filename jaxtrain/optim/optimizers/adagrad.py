"""Gradients over the root of the sum of all squares so far.

optimizer: {name: adagrad, learning_rate: 0.01}
"""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("adagrad")
def adagrad(
    learning_rate: optax.ScalarOrSchedule,
    *,
    initial_sum: Annotated[float, pydantic.Field(ge=0)] = 0.0,
    eps: Epsilon = 1e-10,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Adagrad (Duchi et al. 2011).

    `lr_decay` of torch.optim.Adagrad is a schedule, and not here.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        initial_sum: what the sum of squares begins with: 0 in PyTorch and in the paper, 0.1 in
            optax.
        eps: added to the root, as in torch.optim.Adagrad; optax adds it inside of the root.
        weight_decay: this times the parameters is added to the gradient (L2 regularisation).
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = scale_by_sum_of_squares(initial_sum, eps)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=False)

    return injected(build, learning_rate)


def scale_by_sum_of_squares(initial_sum: float, eps: float) -> optax.GradientTransformation:
    """`gradient / (sqrt(sum) + eps)`."""

    def init(params: optax.Params) -> optax.ScaleByRssState:
        return optax.ScaleByRssState(jax.tree.map(lambda p: jnp.full_like(p, initial_sum), params))

    def update(
        updates: optax.Updates, state: optax.ScaleByRssState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.ScaleByRssState]:
        sums = jax.tree.map(lambda s, g: s + g * g, state.sum_of_squares, updates)
        scaled = jax.tree.map(lambda s, g: g / (jnp.sqrt(s) + eps), sums, updates)
        return scaled, optax.ScaleByRssState(sums)

    return optax.GradientTransformation(init, update)
