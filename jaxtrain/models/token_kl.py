"""How far a language model's predictions have gone from those of another, tile by tile.

    kl = token_kl(hidden, head, before, before_head)                    # [T], nats

As with `token_losses`, the logits of all tokens never exist, of neither model: the backward pass
makes those of a tile anew.

Axes: T tokens, D width, V vocabulary, S tokens of a tile.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.models.token_losses import TILE, Tiles
from jaxtrain.parallel.using import mesh_in_use


def token_kl(
    hidden: jax.Array,
    head: jax.Array,
    before: jax.Array,
    before_head: jax.Array,
    *,
    transposed: bool = False,
    tile: int = TILE // 2,
) -> jax.Array:
    """The Kullback-Leibler divergence, of each token, of what is predicted now from what was
    predicted before: `sum(p * (log p - log q))`, p those before and held fixed, q those now.

    Args:
        hidden: [..., D] floats, those of now.
        head: [D, V] floats.
        before: [..., D] floats.
        before_head: [D, V] floats.
        transposed: heads are [V, D], as the embedding of a model with tied weights is.
        tile: how many tokens; of each there are two rows of logits.

    Returns:
        [...] float32.

    Raises:
        DataError: shapes do not fit.
    """
    if before.shape != hidden.shape or before_head.shape != head.shape:
        raise DataError(
            f"token_kl: expected two of each shape, found hidden {hidden.shape} and "
            f"{before.shape}, heads {head.shape} and {before_head.shape}"
        )
    width = head.shape[-1 if transposed else 0]
    if hidden.shape[-1] != width:
        raise DataError(
            f"token_kl: hidden {hidden.shape} needs a head [{'V, D' if transposed else 'D, V'}], "
            f"found {head.shape}"
        )

    def log_p(states: jax.Array, head: jax.Array) -> jax.Array:
        over = (((1,), (1 if transposed else 0,)), ((), ()))
        logits = jax.lax.dot_general(states, head, over, preferred_element_type=jnp.float32)
        return jax.nn.log_softmax(logits, axis=-1)

    @jax.checkpoint
    def one(_: None, rows: tuple[jax.Array, jax.Array]) -> Any:
        was = jax.lax.stop_gradient(log_p(rows[1], before_head))
        return None, jnp.sum(jnp.exp(was) * (was - log_p(rows[0], head)), axis=-1)

    flat = hidden.reshape(-1, width), before.reshape(-1, width)
    _, found = Tiles.of(flat[0], tile, mesh_in_use()).scan(one, None, flat)
    kl: jax.Array = found
    return kl.reshape(hidden.shape[:-1])
