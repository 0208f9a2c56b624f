"""Adam by the largest gradient in the place of the mean square.

optimizer: {name: adamax, learning_rate: 2e-3}
"""

from __future__ import annotations

import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("adamax")
def adamax(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Adamax (Kingma and Ba 2015, arXiv:1412.6980, algorithm 2).

    Args:
        learning_rate: a number, or a function of the number of updates done.
        b1: decay of the mean of the gradients.
        b2: decay of the largest absolute gradient.
        eps: added to the absolute gradient before the larger is taken, as in torch.optim.Adamax;
            the paper has none.
        weight_decay: this times the parameters is added to the gradient (L2 regularisation).
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = optax.scale_by_adamax(b1, b2, eps)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=False)

    return injected(build, learning_rate)
