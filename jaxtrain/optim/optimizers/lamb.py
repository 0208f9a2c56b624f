"""Adam whose step in each array is as long as the array is, for large batches.

optimizer: {name: lamb, learning_rate: 1e-2, weight_decay: 0.01}
"""

from __future__ import annotations

import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("lamb")
def lamb(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-6,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """LAMB (You et al. 2020, arXiv:1904.00962, algorithm 2).

    An array of zeros, and one whose direction is zero, takes its step unscaled.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients.
        b2: decay of the mean of their squares.
        eps: added to the root of the second mean, in the unit of a gradient.
        weight_decay: this times the parameters is added to Adam's direction, before that is scaled
            to their length.
    """
    return injected(
        lambda rate: optax.lamb(rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay),
        learning_rate,
    )
