"""No schedule: gradients at one point, an average of others as the result.

    optimizer: {name: schedule_free_adamw, learning_rate: 2.5e-3}
    schedule: {name: constant, warmup_fraction: 0.05}

    tx = schedule_free_adamw(2.5e-3, b1=0.9)
    ...
    evaluated = state.replace(params=evaluation_params(state.opt_state, state.params))

What is trained is `y`, where gradients are taken; what is to be evaluated, kept and handed on is
`x`, the average (Defazio et al. 2024, arXiv:2405.15682, equations 2 to 4). It is held nowhere:
`x = (y - (1 - b1) z) / b1`, of the parameters and the `z` in the optimizer's state.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
import optax.contrib
import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS

Share: TypeAlias = Annotated[float, pydantic.Field(gt=0, lt=1)]


@OPTIMIZERS.register("schedule_free_sgd")
def schedule_free_sgd(
    learning_rate: optax.ScalarOrSchedule, *, b1: Share = 0.9, weight_decay: WeightDecay = 0.0
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent without a schedule, evaluated at an average.

    A run evaluates, chooses and exports the average of what it trains. The running means of batch
    norm are those of what is trained.

    Args:
        learning_rate: a number, or a function of the number of updates done that only warms up.
        b1: how much of the average there is in the point where gradients are taken; above 0.
        weight_decay: this times the parameters, at that point, is added to the gradient.

    Raises:
        ConfigError: (from `init`) parameters are narrower than float32.
    """
    return injected(
        lambda rate: _of_float32(
            optax.contrib.schedule_free_sgd(rate, b1=b1, weight_decay=weight_decay)
        ),
        learning_rate,
    )


@OPTIMIZERS.register("schedule_free_adamw")
def schedule_free_adamw(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: Share = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
    weight_decay: WeightDecay = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """AdamW without a schedule, evaluated at an average.

    A run evaluates, chooses and exports the average of what it trains. The running means of batch
    norm are those of what is trained.

    Args:
        learning_rate: a number, or a function of the number of updates done that only warms up.
        b1: how much of the average there is in the point where gradients are taken; above 0.
        b2: decay of the mean of the squares of gradients.
        eps: added to the root of that mean, in the unit of a gradient.
        weight_decay: each update also takes `learning_rate * weight_decay` of the parameters, at
            that point, off `z`.

    Raises:
        ConfigError: (from `init`) parameters are narrower than float32.
    """
    return injected(
        lambda rate: _of_float32(
            optax.contrib.schedule_free_adamw(
                rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay
            )
        ),
        learning_rate,
    )


def evaluation_params(opt_state: optax.OptState, params: optax.Params) -> optax.Params:
    """The parameters to evaluate: the average of a schedule-free optimizer, else `params`.

    Where groups have optimizers of their own, of each group its own average; what none of them
    moves is as it is in `params`.

    Args:
        opt_state: of any optimizer, with `params` of the same moment.
        params: those that are trained.
    """
    for state in _schedule_free(opt_state):

        def average(z: Any, y: Any, b1: Any = state.b1) -> Any:
            # Of a group that is not this state's, optax has put a mark in the place of the leaf.
            return y if _is_masked(z) else (y - (1.0 - b1) * z) / b1

        params = jax.tree.map(average, state.z, params, is_leaf=_is_masked)
    return params


def evaluates_others(opt_state: optax.OptState) -> bool:
    """Whether the parameters to evaluate are others than those that are trained."""
    return bool(_schedule_free(opt_state))


def averaged_leaves(opt_state: optax.OptState, params: optax.Params) -> Any:
    """A tree like `params` of bools: whether what is evaluated of a leaf is an average."""
    found = jax.tree.map(lambda _: False, params)
    for state in _schedule_free(opt_state):
        found = jax.tree.map(
            lambda z, before: before or not _is_masked(z), state.z, found, is_leaf=_is_masked
        )
    return found


def _of_float32(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx`, which refuses parameters in which an average of many would stand still."""

    def init(params: optax.Params) -> optax.OptState:
        narrow = {
            str(leaf.dtype)
            for leaf in jax.tree.leaves(params)
            if jnp.issubdtype(leaf.dtype, jnp.floating) and jnp.finfo(leaf.dtype).bits < 32
        }
        if narrow:
            raise ConfigError(
                "schedule-free: expected parameters in float32, found "
                f"{', '.join(sorted(narrow))}, in which the average, and the sum of its weights, "
                "would stand still; keep them in float32 (precision says what is computed in), or "
                "take another optimizer"
            )
        return tx.init(params)

    return optax.GradientTransformationExtraArgs(init, optax.with_extra_args_support(tx).update)


def _schedule_free(opt_state: optax.OptState) -> list[Any]:
    leaves = jax.tree.leaves(opt_state, is_leaf=_is_schedule_free)
    return [state for state in leaves if _is_schedule_free(state)]


def _is_schedule_free(state: Any) -> bool:
    return isinstance(state, optax.contrib.ScheduleFreeState)


def _is_masked(leaf: Any) -> bool:
    return isinstance(leaf, optax.MaskedNode)
