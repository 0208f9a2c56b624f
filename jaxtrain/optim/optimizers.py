"""Optimizers by name, from optax.

    optimizer: {name: adamw, learning_rate: 1e-3, weight_decay: 0.01}

Clipping is not here: the step clips, since it knows the global norm already.
"""

from __future__ import annotations

from typing import Annotated

import optax
import pydantic

from jaxtrain.optim.injection import injected
from jaxtrain.optim.registry import OPTIMIZERS

Decay = Annotated[float, pydantic.Field(ge=0, lt=1)]
WeightDecay = Annotated[float, pydantic.Field(ge=0, le=10)]


@OPTIMIZERS.register("adamw")
def adamw(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Annotated[float, pydantic.Field(gt=0, le=1)] = 1e-8,
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


@OPTIMIZERS.register("sgd")
def sgd(
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: Decay = 0.0,
    nesterov: bool = False,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        momentum: decay of the sum of past gradients; 0 keeps none, and no state for it.
        nesterov: look one step ahead (Sutskever et al. 2013); of effect with momentum only.
        weight_decay: this times the parameters is added to the gradient, before the momentum
            (L2 regularisation, as in torch.optim.SGD).
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        descent = optax.sgd(rate, momentum=momentum or None, nesterov=nesterov)
        if not weight_decay:
            return descent
        return optax.chain(optax.add_decayed_weights(weight_decay), descent)

    return injected(build, learning_rate)
