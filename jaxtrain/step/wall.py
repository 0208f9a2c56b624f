"""A wall in a program: what stands behind it is computed as if it were a program of its own.

    new = walled(wall(state.step), lambda old: updated(old, grads), (params, opt_state))

XLA fuses what stands side by side, and a fusion may round otherwise: where a product and a sum meet
in one, it makes a fused multiply-add of them. So the same line of a step can give other bits on
two devices than on one, because other things stand around it. A loop whose length is data is a wall
that no fusion crosses, even where it is of one turn. `jax.lax.optimization_barrier` is none on a
CPU: XLA takes it away before it fuses.

A loop of a length that is data has no gradient in reverse mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxtrain.step.distinct import distinct

Carried = TypeVar("Carried")
Said = TypeVar("Said")


def wall(step: jax.Array) -> jax.Array:
    """The length of a loop that is a wall: 1, int32 scalar, and XLA can't know it.

    Args:
        step: the steps of a state, of which only who trains knows that they are not negative.
    """
    return jnp.minimum(step, 0) + 1


def walled(length: jax.Array, function: Callable[[Carried], Carried], carried: Carried) -> Carried:
    """`function(carried)`, behind a wall.

    Args:
        length: what `wall` gives.
        function: gives a tree of the form that it takes. XLA may compute in place.
        carried: the tree; where `function` reads none of it, it is the room for what comes out.
    """
    once = distinct(function)
    found: Carried = jax.lax.fori_loop(0, length, lambda _, now: once(now), carried)
    return found


def apart(
    step: jax.Array, function: Callable[[Carried], tuple[Carried, Said]], carried: Carried
) -> tuple[Carried, Said]:
    """`function(carried)` behind a wall, where it gives something besides.

    Args:
        step: what the wall is made of.
        function: gives a tree of the form that it takes, and another.
        carried: the tree.
    """
    _, said = jax.eval_shape(function, carried)
    return walled(wall(step), lambda now: function(now[0]), (carried, room(said)))


def room(shapes: Any) -> Any:
    """Zeros of these shapes and dtypes."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
