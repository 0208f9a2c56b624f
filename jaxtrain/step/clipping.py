"""Clipping a gradient leaf by leaf: each value of it, or each leaf by its own norm.

    grads = clip_values(grads, 0.5)
    grads = clip_leaves(grads, 1.0)

By the norm of all leaves together, `norm.clip_factor`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.step.norm import clip_factor, global_norm


def clip_values(grads: Any, limit: float) -> Any:
    """Every number of the gradient between `-limit` and `limit`; NaN stays NaN.

    >>> clip_values({"w": jnp.array([-3.0, 0.25, 2.0])}, 0.5)["w"].tolist()
    [-0.5, 0.25, 0.5]
    """
    return jax.tree.map(lambda grad: jnp.clip(grad, -limit, limit), grads)


def clip_leaves(grads: Any, limit: float) -> Any:
    """Every leaf of a larger 2-norm scaled down to `limit`; its direction stays.

    >>> clip_leaves({"w": jnp.array([3.0, 4.0]), "b": jnp.array([0.5])}, 1.0)["w"].tolist()
    [0.6000000238418579, 0.800000011920929]
    """

    def clip(grad: jax.Array) -> jax.Array:
        factor = clip_factor(global_norm(grad), limit)
        wide = jnp.promote_types(grad.dtype, jnp.float32)
        return (grad.astype(wide) * factor.astype(wide)).astype(grad.dtype)

    return jax.tree.map(clip, grads)
