"""The optimizers and schedules that a config can name.

    @OPTIMIZERS.register("lion")
    def lion(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
        return injected(optax.lion, learning_rate)

An optimizer gets `learning_rate` from the program: what the schedule made of the configured one.
A schedule gets `learning_rate`, the configured peak, and `total_steps`, the updates of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import jax
import optax

from jaxtrain.registry import Registry

OPTIMIZERS = Registry("optimizer", returns=optax.GradientTransformation)
SCHEDULES = Registry("schedule", returns=(Real, jax.Array, Callable))
