"""The norm of a gradient, and clipping by it.

norm = global_norm(grads)
factor = clip_factor(norm, 1.0)          # what to multiply the gradient with
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.sharding import is_sharded
from jaxtrain.step.objective import positive


def global_norm(tree: Any) -> jax.Array:
    """The 2-norm of all leaves together, float32 scalar.

    Each leaf as a dot product with itself, which a CPU does several times faster than squaring
    and summing. float16 and bfloat16 are summed in float32: a half has not the range for squares,
    nor the digits for a sum.
    """
    squares = [_square(leaf) for leaf in jax.tree.leaves(tree)]
    return jnp.sqrt(sum(squares, start=jnp.zeros((), jnp.float32)))


def clip_factor(norm: jax.Array, clip_norm: float) -> jax.Array:
    """At most 1: what scales a gradient of this norm down to `clip_norm`."""
    return jnp.minimum(1.0, clip_norm / positive(norm))


def _square(leaf: jax.Array) -> jax.Array:
    wide = leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
    if is_sharded(wide):  # a product whose layout JAX wants to be told
        return jnp.sum(wide * wide.conj()).real.astype(jnp.float32)
    # Over all axes as they are: made one, they would first be gathered from all over a mesh.
    axes = tuple(range(wide.ndim))
    product: jax.Array = jax.lax.dot_general(wide, wide.conj(), ((axes, axes), ((), ())))
    return product.real.astype(jnp.float32)
