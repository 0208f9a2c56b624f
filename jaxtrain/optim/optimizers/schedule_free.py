"""No schedule: gradients at one point, an average of others as the result.

    tx = schedule_free_adamw(2.5e-3, b1=0.9)
    ...
    evaluated = state.replace(params=evaluation_params(state.opt_state, state.params))

What is trained is `y`, where gradients are taken; what is to be evaluated, kept and handed on is
`x`, the average (Defazio et al. 2024, arXiv:2405.15682, equations 2 to 4). No config can name
these: a run evaluates and exports `state.params`, which would be `y`, and a task refuses them.
"""

from __future__ import annotations

from typing import Any

import jax
import optax
import optax.contrib

from jaxtrain.optim.injection import injected


def schedule_free_sgd(
    learning_rate: optax.ScalarOrSchedule, *, b1: float = 0.9, weight_decay: float = 0.0
) -> optax.GradientTransformationExtraArgs:
    """Schedule-free stochastic gradient descent.

    Args:
        learning_rate: a number, or a function of the number of updates done that only warms up.
        b1: how much of the average there is in the point where gradients are taken; above 0.
        weight_decay: this times the parameters, at that point, is added to the gradient.
    """
    return injected(
        lambda rate: optax.contrib.schedule_free_sgd(rate, b1=b1, weight_decay=weight_decay),
        learning_rate,
    )


def schedule_free_adamw(
    learning_rate: optax.ScalarOrSchedule,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Schedule-free AdamW.

    Args:
        learning_rate: a number, or a function of the number of updates done that only warms up.
        b1: how much of the average there is in the point where gradients are taken; above 0.
        b2: decay of the mean of the squares of gradients.
        eps: added to the root of that mean, in the unit of a gradient.
        weight_decay: each update also takes `learning_rate * weight_decay` of the parameters, at
            that point, off `z`.
    """
    return injected(
        lambda rate: optax.contrib.schedule_free_adamw(
            rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay
        ),
        learning_rate,
    )


def evaluation_params(opt_state: optax.OptState, params: optax.Params) -> optax.Params:
    """The parameters to evaluate: the average of a schedule-free optimizer, else `params`.

    Args:
        opt_state: of any optimizer, with `params` of the same moment.
        params: those that are trained.
    """
    for state in jax.tree.leaves(opt_state, is_leaf=_is_schedule_free):
        if _is_schedule_free(state):
            return optax.contrib.schedule_free_eval_params(state, params)
    return params


def evaluates_others(opt_state: optax.OptState) -> bool:
    """Whether the parameters to evaluate are others than those that are trained."""
    return any(map(_is_schedule_free, jax.tree.leaves(opt_state, is_leaf=_is_schedule_free)))


def _is_schedule_free(state: Any) -> bool:
    return isinstance(state, optax.contrib.ScheduleFreeState)
