"""From tokens to hidden states, and from those to logits: what training, evaluation and generation
share.

    hidden = hidden_states(params, config, tokens)                      # [B, L, D]
    scores = logits(params, config, hidden)                             # [B, L, V]
    hidden, cache = hidden_states(params, config, tokens, cache=cache)

It computes in the dtype of the parameters; norms, RoPE's angles, the softmax and the logits are
float32 in any case.

Axes: B batch, L length, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.models.attention import Choice, Requested, choose, device_facts
from jaxtrain.models.decoder.block import Place
from jaxtrain.models.decoder.cache import KVCache
from jaxtrain.models.decoder.config import DecoderConfig
from jaxtrain.models.decoder.norm import rms_norm
from jaxtrain.models.decoder.remat import Remat
from jaxtrain.models.decoder.rope import rotation
from jaxtrain.models.decoder.stack import Form, run_layers
from jaxtrain.models.low_rank import LowRank
from jaxtrain.parallel import gathered


@overload
def hidden_states(
    params: Mapping[str, Any],
    config: DecoderConfig,
    inputs: jax.Array,
    *,
    segments: jax.Array | None = ...,
    positions: jax.Array | None = ...,
    cache: None = ...,
    form: Form = ...,
    remat: Remat = ...,
    attention: Requested = ...,
) -> jax.Array: ...


@overload
def hidden_states(
    params: Mapping[str, Any],
    config: DecoderConfig,
    inputs: jax.Array,
    *,
    segments: jax.Array | None = ...,
    positions: jax.Array | None = ...,
    cache: KVCache,
    form: Form = ...,
    remat: Remat = ...,
    attention: Requested = ...,
) -> tuple[jax.Array, KVCache]: ...


def hidden_states(
    params: Mapping[str, Any],
    config: DecoderConfig,
    inputs: jax.Array,
    *,
    segments: jax.Array | None = None,
    positions: jax.Array | None = None,
    cache: KVCache | None = None,
    form: Form = "scan",
    remat: Remat = "none",
    attention: Requested = "auto",
) -> jax.Array | tuple[jax.Array, KVCache]:
    """The last layer's states behind the last norm, `[B, L, D]`.

    Args:
        params: as `initial_params` lays them out.
        config: the sizes.
        inputs: `[B, L]` int32 tokens. One that is not below V makes its row NaN.
        segments: `[B, L]` int32, the document of each token, from 1, 0 for padding; None where each
            row is one document. Nothing reads across.
        positions: `[B, L]` int32, each token's place in its document; None counts from 0, or from
            the cache's position.
        cache: what the rows have read so far. The new tokens are written behind it. The caller
            sees to it that there is room: what has none is not written.
        form: "scan" or "unroll"; see `jaxtrain.models.decoder.stack`.
        remat: what is kept for the backward pass; see `jaxtrain.models.decoder.remat`.
        attention: the kernel; see `jaxtrain.models.attention`.

    Returns:
        The states; with a cache, those and the cache behind these tokens.

    Raises:
        ConfigError: the attention asked for can't run here.
    """
    if cache is not None and segments is not None:
        raise ValueError("a cache holds one document a row; give either segments or a cache")
    batch, length = inputs.shape
    embedding = _array_of(params, "embedding", "embedding")
    implementation = attention_choice(
        config,
        attention,
        dtype=embedding.dtype,
        length=length,
        packed=segments is not None,
        cached=cache is not None,
    ).name
    places = None if cache is None else cache.places(length)
    if positions is None:
        positions = jnp.arange(length, dtype=jnp.int32)[None, :] if places is None else places
        positions = jnp.broadcast_to(positions, (batch, length))
    cos, sin = rotation(positions, config)
    # Clamped, an unknown token would train as the last one in silence.
    hidden = jnp.take(embedding, inputs.reshape(-1), axis=0, mode="fill", fill_value=jnp.nan)
    if config.embedding_scale:
        hidden = hidden * jnp.asarray(config.width**0.5, hidden.dtype)
    hidden, written = run_layers(
        params["layers"],
        hidden,
        Place(cos, sin, segments, places),
        config,
        form=form,
        remat=remat,
        implementation=implementation,
        cache=cache,
    )
    hidden = rms_norm(hidden, params["norm"]["scale"], kind=config.norm, eps=config.norm_eps)
    hidden = hidden.reshape(batch, length, config.width)
    if cache is None or written is None:
        return hidden
    return hidden, written.at(cache.position + length)


def logits(params: Mapping[str, Any], config: DecoderConfig, hidden: jax.Array) -> jax.Array:
    """`hidden` `[..., D]` to float32 `[..., V]`."""
    head, transposed = output_head(params, config)
    axis = 1 if transposed else 0
    product = (((hidden.ndim - 1,), (axis,)), ((), ()))
    return jax.lax.dot_general(hidden, head, product, preferred_element_type=jnp.float32)


def output_head(params: Mapping[str, Any], config: DecoderConfig) -> tuple[jax.Array, bool]:
    """The head and whether it lies as the embedding does: `[D, V]` and False, `[V, D]` and True."""
    if config.tied:
        return _array_of(params, "embedding", "embedding"), True
    return _array_of(params, "head", "kernel"), False


def _array_of(params: Mapping[str, Any], module: str, leaf: str) -> jax.Array:
    """What is looked up and what gives logits have no branch beside them."""
    found: jax.Array | LowRank = params[module][leaf]
    if isinstance(found, LowRank):
        raise ConfigError(
            f"{module}: the decoder takes an array here, found a LowRank; merge this adapter "
            f"(lora.merge), or leave {module} out of its targets"
        )
    whole: jax.Array = gathered(found, path=f"{module}/{leaf}")
    return whole


def attention_choice(
    config: DecoderConfig,
    attention: Requested,
    *,
    dtype: Any,
    length: int,
    packed: bool = False,
    cached: bool = False,
) -> Choice:
    """Which kernel `hidden_states` takes on this machine, and why; for a plan and for metadata.

    Args:
        config: the sizes.
        attention: what is asked for.
        dtype: what is computed in: the policy's, not the parameters' own.
        length: L.
        packed: whether the batch has `segments`.
        cached: whether there is a cache.

    Raises:
        ConfigError: what is asked for can't run here.
    """
    return choose(
        attention,
        dtype=dtype,
        head_dim=config.head_dim,
        length=length,
        packed=packed,
        cached=cached,
        **device_facts(),
    )
