"""The learning rate as it is.

schedule: {name: constant, warmup_steps: 100}
"""

from __future__ import annotations

from jaxtrain.optim.registry import SCHEDULES


@SCHEDULES.register("constant")
def constant(learning_rate: float) -> float:
    """The learning rate as it is.

    A number, not a function: so a handler that lowers it in the optimizer state is not overruled
    at the next update. (With a warm-up it is a function.)
    """
    return learning_rate
