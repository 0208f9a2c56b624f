"""The learning rate as a part of the optimizer state, where it can be read and changed.

    tx = injected(lambda learning_rate: optax.adamw(learning_rate, b1=0.8), 1e-3)
    opt_state = tx.init(params)
    print(learning_rate(opt_state))            # 0.001
    opt_state = with_learning_rate(opt_state, 1e-4)

The optimizers that a config can name are made this way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrain.errors import ConfigError
from jaxtrain.varied import Varied


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

    inject = optax.inject_hyperparams(of_learning_rate, hyperparam_dtype=jnp.float32)
    if not isinstance(learning_rate, Varied):
        return inject(learning_rate)
    # optax asks for its type: it is an array only where the state is made.
    return optax.GradientTransformationExtraArgs(
        lambda params: inject(jnp.asarray(learning_rate)).init(params), inject(0.0).update
    )


def learning_rate(opt_state: optax.OptState) -> jax.Array | None:
    """The learning rate of the last update, a float32 scalar; before the first, that of the first.

    Where there are groups it is that of the parameters that are in none.

    None where the optimizer keeps none in its state, as `optax.adam(1e-3)` on its own.
    """
    for state in jax.tree.leaves(opt_state, is_leaf=_holds):
        if _holds(state):
            return jnp.asarray(state.hyperparams["learning_rate"], jnp.float32)
    return None


def with_learning_rate(opt_state: optax.OptState, rate: float | jax.Array) -> optax.OptState:
    """`opt_state` with another learning rate, where `learning_rate` finds it; those of groups go
    with it in proportion.

    A rate that is on a device is replaced there, so that a compiled step takes it as it took the
    one before.

    Raises:
        ConfigError: the optimizer keeps none in its state, or a schedule sets it: the next update
            would set it back.
    """
    refuse_fixed_rate(opt_state)
    wanted, old = jnp.asarray(rate, jnp.float32), learning_rate(opt_state)
    assert old is not None  # or it would have been refused
    is_first = True

    def replace(state: Any) -> Any:
        nonlocal is_first
        if not _holds(state):
            return state
        before = state.hyperparams["learning_rate"]
        new = wanted if is_first else jnp.where(old > 0, before * (wanted / old), before)
        is_first = False
        if isinstance(before, jax.Array) and not isinstance(before, jax.core.Tracer):
            new = jax.device_put(new, before.sharding)
        return state._replace(hyperparams={**state.hyperparams, "learning_rate": new})

    return jax.tree.map(replace, opt_state, is_leaf=_holds)


def refuse_fixed_rate(opt_state: optax.OptState) -> None:
    """See that the learning rate can be changed; shapes are enough.

    Raises:
        ConfigError: it can't be.
    """
    found = [state for state in jax.tree.leaves(opt_state, is_leaf=_holds) if _holds(state)]
    for state in found:
        if "learning_rate" in getattr(state, "hyperparams_states", ()):
            raise ConfigError(
                "the learning rate is a schedule's, which sets it anew at each update; take "
                "schedule.name=constant without a warm-up, or make the optimizer of a number"
            )
    if found:
        return
    raise ConfigError(
        "the optimizer keeps no learning rate in its state; make it by "
        "jaxtrain.optim.injected, as those are that a config can name"
    )


def _holds(state: Any) -> bool:
    return "learning_rate" in getattr(state, "hyperparams", ())
