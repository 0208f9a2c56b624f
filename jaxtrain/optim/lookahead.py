"""Lookahead: slow weights that go a part of the way of every few steps of fast ones.

    tx = lookahead(optax.adam(1e-3), every=5, share=0.5)

After Zhang et al. (2019), arXiv:1907.08610. `optax.lookahead` wants parameters in pairs of fast and
slow ones, which no model takes; here the slow ones are in the optimizer's state, and the parameters
are the fast ones, as the model has them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrain.errors import ConfigError
from jaxtrain.optim.optimizers.schedule_free import evaluates_others


class LookaheadState(NamedTuple):
    """What is kept beside the parameters.

    Attributes:
        inner: the state of the optimizer within.
        slow: the slow weights, a tree like the parameters.
        updates: how many there were, int32 scalar.
    """

    inner: Any
    slow: Any
    updates: jax.Array


def lookahead(
    tx: optax.GradientTransformation, *, every: int = 5, share: float = 0.5
) -> optax.GradientTransformationExtraArgs:
    """`tx`, and after every `every` updates the parameters are set to the slow weights, which have
    moved by `share` of the way there (algorithm 1 of the paper). The inner state goes on.

    Args:
        tx: moves the fast weights.
        every: k of the paper.
        share: alpha of the paper.

    Raises:
        ConfigError: `every` is less than 1, or `share` is not above 0 and at most 1; (from
            `update`) it is given no parameters; (from `init`) what `tx` trains is not what is to be
            evaluated.
    """
    if every < 1:
        raise ConfigError(f"lookahead: expected every to be at least 1, found {every}")
    if not 0 < share <= 1:
        raise ConfigError(f"lookahead: expected a share above 0 and at most 1, found {share}")
    inner = optax.with_extra_args_support(tx)

    def init(params: Any) -> LookaheadState:
        slow = jax.tree.map(lambda param: jnp.array(param, copy=True), params)
        state = inner.init(params)
        if evaluates_others(state):
            raise ConfigError(
                "lookahead: the optimizer keeps an average of its own, which slow weights would "
                "move it away from; leave out one of them"
            )
        return LookaheadState(state, slow, jnp.zeros((), jnp.int32))

    def update(
        updates: Any, state: LookaheadState, params: Any = None, **extra: Any
    ) -> tuple[Any, LookaheadState]:
        if params is None:
            raise ConfigError("lookahead: its update needs the parameters")
        changes, inner_state = inner.update(updates, state.inner, params, **extra)
        count = optax.safe_increment(state.updates)
        due = count % every == 0

        def meet(slow: jax.Array, param: jax.Array, change: jax.Array) -> jax.Array:
            return jnp.where(due, slow + share * (param + change - slow), slow).astype(slow.dtype)

        slow = jax.tree.map(meet, state.slow, params, changes)
        changes = jax.tree.map(
            lambda change, new, param: jnp.where(due, new - param, change), changes, slow, params
        )
        return changes, LookaheadState(inner_state, slow, count)

    return optax.GradientTransformationExtraArgs(init, update)
