"""Weight decay in both of its forms, around what scales a gradient.

    decayed(optax.scale_by_adam(), rate, weight_decay=0.01, decoupled=False)

Coupled, it is the gradient of an L2 penalty and goes through the moments; decoupled, it shrinks the
parameters beside them (Loshchilov and Hutter 2019, arXiv:1711.05101).
"""

from __future__ import annotations

import optax


def decayed(
    scaled: optax.GradientTransformation,
    rate: optax.ScalarOrSchedule,
    *,
    weight_decay: float,
    decoupled: bool,
) -> optax.GradientTransformation:
    """`scaled`, a step of `rate` along it, and the decay; no state for a decay of 0.

    Args:
        scaled: from a gradient to a direction.
        rate: the learning rate.
        weight_decay: coupled, this times the parameters is added to the gradient; decoupled,
            `rate * weight_decay` of every parameter is taken off it.
        decoupled: which of the two.
    """
    step = optax.scale_by_learning_rate(rate)
    if not weight_decay:
        return optax.chain(scaled, step)
    decay = optax.add_decayed_weights(weight_decay)
    return optax.chain(scaled, decay, step) if decoupled else optax.chain(decay, scaled, step)
