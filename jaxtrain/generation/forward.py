"""The decoder forward as generation needs it: prompts at once, then a token a row and step.

    weights = by_layer(params)
    hidden, cache = read_prompts(weights, config, prompts, lengths, size=192)    # [B, D]
    hidden, cache = read_tokens(weights, config, tokens, cache)                  # [B, D]

The numbers are those of `hidden_states` with a `KVCache` (a test holds that, for each family); the
layout is another. Against a loop around `hidden_states` this one took half the processor time a
token (6 layers, D = 384; 1 and 8 rows):

- Layers lie apart, each with arrays of its own. Taken out of stacked arrays, each layer's weights
  are copied for each token, and at few rows a token costs what reading the weights costs.
- All rows write to the same slot, wherever they are in their texts, so a write is a slice and not a
  scatter. A key knows its position by its rotation, not by its slot; slots behind a shorter prompt
  are never read.
- Heads come before slots, so that both products of attention read the cache as it lies, and query
  heads are grouped by the key head that they share, which is not repeated.

Axes: B rows, P places of the longest prompt, S slots, D width, H query heads, G key/value heads,
R = H / G, E head size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.models.attention import attention
from jaxtrain.models.decoder import DecoderConfig, attention_choice
from jaxtrain.models.decoder.block import feed_forward
from jaxtrain.models.decoder.norm import rms_norm
from jaxtrain.models.decoder.rope import rotate, rotation
from jaxtrain.models.decoder.stack import unstack
from jaxtrain.models.low_rank import dense

Weights = Mapping[str, Any]
"""As `initial_params` lays them out, but `layers` is a tuple of trees, a layer each."""

Mix = Callable[[int, jax.Array, jax.Array, jax.Array], jax.Array]
"""From a layer's number, q `[B, L, H, E]`, k and v `[B, L, G, E]` to `[B, L, H, E]`."""


class SlotCache(NamedTuple):
    """Keys and values of what the rows have read.

    Attributes:
        k: of each layer `[B, G, S, E]`, turned by RoPE already.
        v: of each layer `[B, G, S, E]`.
        lengths: `[B]` int32, of the prompts, which stand in the first slots.
        start: int32, P: the slot of the first token behind the prompts, for all rows.
        steps: int32, how many tokens stand there.
    """

    k: tuple[jax.Array, ...]
    v: tuple[jax.Array, ...]
    lengths: jax.Array
    start: jax.Array
    steps: jax.Array

    @property
    def size(self) -> int:
        """S."""
        return self.k[0].shape[2]

    def grown(self, size: int) -> SlotCache:
        """The same with S = `size`, which is not less than it was."""

        def more(x: jax.Array) -> jax.Array:
            return jnp.pad(x, ((0, 0), (0, 0), (0, size - x.shape[2]), (0, 0)))

        return self._replace(k=tuple(map(more, self.k)), v=tuple(map(more, self.v)))


_apart = jax.jit(unstack)


def by_layer(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with their layers apart: a copy of those, and of nothing else."""
    return {**params, "layers": tuple(_apart(params["layers"]))}


def read_prompts(
    weights: Weights, config: DecoderConfig, prompts: jax.Array, lengths: jax.Array, *, size: int
) -> tuple[jax.Array, SlotCache]:
    """States of the last token of each prompt `[B, D]`, and a cache of all of them.

    Args:
        weights: of the decoder.
        config: its sizes.
        prompts: `[B, P]` int32, padded on the right, where nobody looks.
        lengths: `[B]` int32.
        size: S, at least P.
    """
    longest = prompts.shape[1]
    dtype = weights["embedding"]["embedding"].dtype
    kernel = attention_choice(config, "auto", dtype=dtype, length=longest).name
    keys: list[jax.Array] = []
    values: list[jax.Array] = []

    def in_slots(x: jax.Array) -> jax.Array:
        return jnp.pad(x.transpose(0, 2, 1, 3), ((0, 0), (0, 0), (0, size - longest), (0, 0)))

    def mix(number: int, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        keys.append(in_slots(k))
        values.append(in_slots(v))
        return attention(q, k, v, implementation=kernel)

    positions = jnp.broadcast_to(jnp.arange(longest, dtype=jnp.int32)[None, :], prompts.shape)
    hidden = _through_layers(weights, config, prompts, positions, mix)
    last = jnp.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)[:, 0]
    start, steps = jnp.asarray(longest, jnp.int32), jnp.asarray(0, jnp.int32)
    return last, SlotCache(tuple(keys), tuple(values), lengths, start, steps)


def read_tokens(
    weights: Weights, config: DecoderConfig, tokens: jax.Array, cache: SlotCache
) -> tuple[jax.Array, SlotCache]:
    """States of one more token of each row `[B, D]`, and the cache with it.

    Args:
        weights: of the decoder.
        config: its sizes.
        tokens: `[B]` int32.
        cache: of what stands before; the caller sees to it that there is a slot.
    """
    slot = cache.start + cache.steps
    slots = jnp.arange(cache.size, dtype=jnp.int32)[None, :]
    behind_prompts = (slots >= cache.start) & (slots <= slot)
    seen = ((slots < cache.lengths[:, None]) | behind_prompts)[:, None, None, :]
    keys, values = list(cache.k), list(cache.v)

    def mix(number: int, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        for held, new in ((keys, k), (values, v)):
            new = new.transpose(0, 2, 1, 3)
            held[number] = jax.lax.dynamic_update_slice_in_dim(held[number], new, slot, axis=2)
        return _attend(q, keys[number], values[number], seen)

    positions = (cache.lengths + cache.steps)[:, None]
    hidden = _through_layers(weights, config, tokens[:, None], positions, mix)
    read = cache._replace(k=tuple(keys), v=tuple(values), steps=cache.steps + 1)
    return hidden[:, 0], read


def _attend(q: jax.Array, k: jax.Array, v: jax.Array, seen: jax.Array) -> jax.Array:
    """One query a row `[B, 1, H, E]` against all slots; the softmax is float32."""
    batch, _, heads, size = q.shape
    groups = k.shape[1]
    grouped = q.reshape(batch, groups, heads // groups, size)
    scores = jnp.einsum("bgre,bgse->bgrs", grouped, k, preferred_element_type=jnp.float32)
    scores = jnp.where(seen, scores * jnp.float32(size**-0.5), -jnp.inf)
    shares = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("bgrs,bgse->bgre", shares, v).reshape(batch, 1, heads, size)


def _through_layers(
    weights: Weights, config: DecoderConfig, tokens: jax.Array, positions: jax.Array, mix: Mix
) -> jax.Array:
    """States behind the last norm, `[B, L, D]`."""
    batch, length = tokens.shape
    hidden = jnp.take(weights["embedding"]["embedding"], tokens.reshape(-1), axis=0, mode="clip")
    if config.embedding_scale:
        hidden = hidden * jnp.asarray(config.width**0.5, hidden.dtype)
    cos, sin = rotation(positions, config)

    def norm(hidden: jax.Array, params: Mapping[str, Any]) -> jax.Array:
        return rms_norm(hidden, params["norm"]["scale"], kind=config.norm, eps=config.norm_eps)

    for number, layer in enumerate(weights["layers"]):
        kernels, inputs = layer["attention"], norm(hidden, layer["attention"])

        def heads(name: str, kernels: Any = kernels, inputs: jax.Array = inputs) -> jax.Array:
            return dense(inputs, kernels[name]["kernel"]).reshape(
                batch, length, -1, config.head_dim
            )

        q, k = rotate(heads("q"), cos, sin), rotate(heads("k"), cos, sin)
        mixed = mix(number, q, k, heads("v")).reshape(batch * length, -1)
        hidden = hidden + dense(mixed, kernels["o"]["kernel"])
        hidden = hidden + feed_forward(layer["mlp"], hidden, config)
    return norm(hidden, weights).reshape(batch, length, config.width)
