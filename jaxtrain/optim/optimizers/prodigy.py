"""Adam that finds its own learning rate.

optimizer: {name: prodigy, learning_rate: 1.0}
"""

from __future__ import annotations

from typing import Annotated

import optax
import optax.contrib
import pydantic

from jaxtrain.optim.injection import injected
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
        weight_decay: each update also takes this, times the rate that was found, of every parameter
            off it.
        safeguard_warmup: leave the rate out of the estimate's denominator, as with a long warm-up.
    """
    return injected(
        lambda rate: optax.contrib.prodigy(
            rate,
            betas=(b1, b2),
            beta3=b3,
            eps=eps,
            estim_lr0=first_distance,
            estim_lr_coef=distance_factor,
            weight_decay=weight_decay,
            safeguard_warmup=safeguard_warmup,
        ),
        learning_rate,
    )
