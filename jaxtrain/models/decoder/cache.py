"""Keys and values of the tokens that a decoder has read: what makes the next token cheap.

    cache = KVCache.empty(config, batch=2, size=64)
    hidden, cache = hidden_states(params, config, prompt, cache=cache)
    cache = cache.at(lengths)                  # prompts of unequal length, padded on the right
    hidden, cache = hidden_states(params, config, token, cache=cache)

A plain pytree of fixed shapes: it can be donated, and carried through a loop on the device.

Axes: N layers, B batch, S places, G key/value heads, E head size, L new tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.models.decoder.config import DecoderConfig


class KVCache(NamedTuple):
    """Keys (turned by RoPE already) and values, and how far each row has come.

    Attributes:
        k: `[N, B, S, G, E]`.
        v: `[N, B, S, G, E]`.
        position: `[B]` int32, the place that the next token of each row is written to, which is
            also its position in the text. What stands at or behind it is not read.
    """

    k: jax.Array
    v: jax.Array
    position: jax.Array

    @classmethod
    def empty(
        cls, config: DecoderConfig, *, batch: int, size: int, dtype: Any = "float32"
    ) -> KVCache:
        """A cache of `size` places for each of `batch` rows, nothing in it."""
        shape = (config.layers, batch, size, config.kv_heads, config.head_dim)
        zeros = jnp.zeros(shape, dtype)
        return cls(zeros, zeros, jnp.zeros(batch, jnp.int32))

    def at(self, position: jax.Array) -> KVCache:
        """The same with other places `[B]` to write to next.

        After prompts padded on the right: their lengths. The padding's keys then stand behind
        them, are read by nobody, and are written over one by one.
        """
        return self._replace(position=jnp.asarray(position, jnp.int32))

    def places(self, length: int) -> jax.Array:
        """Where the next `length` tokens of each row go: `[B, L]`."""
        return self.position[:, None] + jnp.arange(length, dtype=jnp.int32)[None, :]

    def written(
        self, layer: int | jax.Array, k: jax.Array, v: jax.Array, places: jax.Array
    ) -> KVCache:
        """With the keys and values `[B, L, G, E]` of one layer at their places.

        A token whose place is not below S is left out: nothing else is overwritten.
        """
        rows = jnp.arange(places.shape[0], dtype=jnp.int32)[:, None]
        return self._replace(
            k=self.k.at[layer, rows, places].set(k.astype(self.k.dtype), mode="drop"),
            v=self.v.at[layer, rows, places].set(v.astype(self.v.dtype), mode="drop"),
        )
