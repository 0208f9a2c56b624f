"""One layer: attention and the gated feed-forward, each behind its norm and beside a residual.

    hidden, cache = block(layer, hidden, place, config, cache=None)

Dense layers see tokens `[T, D]`, not `[B, L, D]`: the gradient of a kernel then contracts one axis
instead of two, which on a CPU is twice as fast.

Axes: B batch, L length, T = B * L tokens, D width, H query heads, G key/value heads, E head size,
F width of the feed-forward, S places of a cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from jaxtrain.models.attention import Implementation, attention
from jaxtrain.models.decoder.cache import KVCache
from jaxtrain.models.decoder.config import DecoderConfig
from jaxtrain.models.decoder.norm import rms_norm
from jaxtrain.models.decoder.rope import rotate
from jaxtrain.models.low_rank import dense


class Place(NamedTuple):
    """Where the tokens are; the same for all layers.

    Attributes:
        cos: `[B, L, 1, E/2]` float32.
        sin: `[B, L, 1, E/2]` float32.
        segments: `[B, L]` int32, or None where each row is one document.
        places: `[B, L]` int32, where the tokens go in the cache; None where there is none.
    """

    cos: jax.Array
    sin: jax.Array
    segments: jax.Array | None
    places: jax.Array | None


def attend(
    params: Mapping[str, Any],
    hidden: jax.Array,
    place: Place,
    config: DecoderConfig,
    *,
    implementation: Implementation,
    cache: tuple[KVCache, int | jax.Array] | None = None,
) -> tuple[jax.Array, KVCache | None]:
    """What attention adds to `hidden` `[T, D]`, and the cache with these tokens in it.

    Args:
        params: of the layer's attention.
        hidden: `[T, D]`.
        place: where the tokens are.
        config: the sizes.
        implementation: the kernel.
        cache: the cache and the number of the layer.
    """
    batch, length = place.cos.shape[:2]
    inputs = rms_norm(hidden, params["norm"]["scale"], kind=config.norm, eps=config.norm_eps)

    def heads(name: str, number: int) -> jax.Array:
        return dense(inputs, params[name]["kernel"]).reshape(batch, length, number, config.head_dim)

    q = rotate(heads("q", config.heads), place.cos, place.sin)
    k = rotate(heads("k", config.kv_heads), place.cos, place.sin)
    v = heads("v", config.kv_heads)
    written = None
    if cache is not None:
        held, layer = cache
        assert place.places is not None
        written = held.written(layer, k, v, place.places)
        k, v = written.k[layer].astype(q.dtype), written.v[layer].astype(q.dtype)
    mixed = attention(
        q,
        k,
        v,
        segments=place.segments,
        positions=place.places,
        implementation=implementation,
    )
    return dense(mixed.reshape(batch * length, -1), params["o"]["kernel"]), written


def feed_forward(params: Mapping[str, Any], hidden: jax.Array, config: DecoderConfig) -> jax.Array:
    """What the gated feed-forward (Shazeer 2020, arXiv:2002.05202) adds to `hidden` `[T, D]`."""
    inputs = rms_norm(hidden, params["norm"]["scale"], kind=config.norm, eps=config.norm_eps)
    activation = jax.nn.silu if config.activation == "silu" else jax.nn.gelu  # tanh by default
    gate = activation(dense(inputs, params["gate"]["kernel"]))
    return dense(gate * dense(inputs, params["up"]["kernel"]), params["down"]["kernel"])
