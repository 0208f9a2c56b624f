"""The update: what an optimizer makes of a gradient, and the moving average of what it makes.

params, opt_state = update(tx)(grads, opt_state, params, value=loss)
ema = moved(ema, params, decay=0.999)
"""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax


class Update(Protocol):
    """Applies an optimizer."""

    def __call__(self, grads: Any, opt_state: Any, params: Any, **extra: Any) -> tuple[Any, Any]:
        """From a gradient to new `(params, opt_state)`."""


def update(tx: optax.GradientTransformation) -> Update:
    """The update by `tx`.

    What is given by keyword (`value`, `grad`, `value_fn`) reaches a transformation that wants it,
    such as `optax.contrib.reduce_on_plateau` or `optax.lbfgs`, wherever in a chain it stands.
    """
    accepting = optax.with_extra_args_support(tx)

    def apply(grads: Any, opt_state: Any, params: Any, **extra: Any) -> tuple[Any, Any]:
        changes, opt_state = accepting.update(grads, opt_state, params, **extra)
        return optax.apply_updates(params, changes), opt_state

    return apply


def average_of(params: Any) -> Any:
    """A moving average at its start: a copy of the parameters, in float32 where they are narrower.

    An average in bfloat16 would stand still: a thousandth of a change is below its last digit.
    """

    def copy(param: jax.Array) -> jax.Array:
        wide = jnp.issubdtype(param.dtype, jnp.floating)
        dtype = jnp.promote_types(param.dtype, jnp.float32) if wide else param.dtype
        return jnp.array(param, dtype, copy=True)

    return jax.tree.map(copy, params)


def decay_at(step: jax.Array, decay: float) -> jax.Array:
    """The decay of an average behind so many steps: `(1 + step) / (10 + step)`, at most `decay`.

    An average that began as random numbers would else be made of them for `1 / (1 - decay)` steps
    and more, longer than many a run. As TensorFlow's ExponentialMovingAverage has it.

    >>> [round(float(decay_at(jnp.int32(step), 0.9)), 3) for step in (0, 10, 1000)]
    [0.1, 0.55, 0.9]
    """
    count = step.astype(jnp.float32)
    return jnp.minimum(decay, (1 + count) / (10 + count))


def moved(average: Any, params: Any, *, decay: float | jax.Array) -> Any:
    """`decay * average + (1 - decay) * params`, leaf by leaf; integers are taken as they are."""

    def move(old: jax.Array, new: jax.Array) -> jax.Array:
        if not jnp.issubdtype(old.dtype, jnp.inexact):
            return new
        return old + (1 - decay) * (new.astype(old.dtype) - old)

    return jax.tree.map(move, average, params)
