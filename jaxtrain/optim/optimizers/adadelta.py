"""Steps as large as the last ones were, over gradients as large as the last ones were.

optimizer: {name: adadelta, learning_rate: 1.0}
"""

from __future__ import annotations

import optax

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.decay import decayed
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS


@OPTIMIZERS.register("adadelta")
def adadelta(
    learning_rate: optax.ScalarOrSchedule,
    *,
    rho: Decay = 0.9,
    eps: Epsilon = 1e-6,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Adadelta (Zeiler 2012, arXiv:1212.5701); its learning rate is 1 in the paper.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        rho: decay of the mean squares of gradients and of steps.
        eps: added to both mean squares, inside of the root, as in the paper and in
            torch.optim.Adadelta.
        weight_decay: this times the parameters is added to the gradient (L2 regularisation).
    """

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        scaled = optax.scale_by_adadelta(rho, eps)
        return decayed(scaled, rate, weight_decay=weight_decay, decoupled=False)

    return injected(build, learning_rate)
