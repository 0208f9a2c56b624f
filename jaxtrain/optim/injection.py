"""The learning rate as a part of the optimizer state, where it can be read and changed.

    tx = injected(lambda learning_rate: optax.adamw(learning_rate, b1=0.8), 1e-3)
    opt_state = tx.init(params)
    print(learning_rate(opt_state))            # 0.001

The optimizers that a config can name are made this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax


def injected(
    build: Callable[[Any], optax.GradientTransformation], learning_rate: optax.ScalarOrSchedule
) -> optax.GradientTransformationExtraArgs:
    """`build(learning_rate)` with the learning rate kept in the state, as float32.

    A number stays what it is until somebody replaces `opt_state.hyperparams["learning_rate"]`; a
    schedule sets it anew at each update.

    Args:
        build: makes the optimizer of a learning rate. What else it depends on, it holds itself:
            a hyperparameter in the state would cost an array and a multiplication for each.
        learning_rate: a number, or a function of the number of updates done.
    """

    def of_learning_rate(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        return build(learning_rate)

    return optax.inject_hyperparams(of_learning_rate, hyperparam_dtype=jnp.float32)(learning_rate)


def learning_rate(opt_state: optax.OptState) -> jax.Array | None:
    """The learning rate of the last update, a float32 scalar; before the first, that of the first.

    None where the optimizer keeps none in its state, as `optax.adam(1e-3)` on its own.
    """

    def holds(state: Any) -> bool:
        return "learning_rate" in getattr(state, "hyperparams", ())

    for state in jax.tree.leaves(opt_state, is_leaf=holds):
        if holds(state):
            return jnp.asarray(state.hyperparams["learning_rate"], jnp.float32)
    return None
