"""Steps of one size: the sign of a momentum.

optimizer: {name: lion, learning_rate: 1e-4, weight_decay: 0.1}
"""

from __future__ import annotations

import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.ranges import Decay, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("lion")
def lion(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.99,
    weight_decay: WeightDecay = 1e-3,
) -> optax.GradientTransformationExtraArgs:
    """Lion (Chen et al. 2023, arXiv:2302.06675, algorithm 2).

    Its steps are larger than Adam's at the same rate: the paper takes a third to a tenth of Adam's
    rate, and three to ten times its weight decay.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: how much of the momentum goes into the sign, the rest is of the gradient.
        b2: decay of the momentum.
        weight_decay: each update also takes `learning_rate * weight_decay` of every parameter off
            it.
    """
    return injected(
        lambda rate: optax.lion(rate, b1=b1, b2=b2, weight_decay=weight_decay), learning_rate
    )
