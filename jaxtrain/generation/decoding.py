"""Decoding: the loop over tokens, on the device, in programs of few shapes.

    state = first_tokens(weights, prompts, lengths, draw, config=config, form=form, size=192)
    state, tokens, number = next_tokens(weights, state, draw, 16, config=config, form=form)

A program is compiled for a number of rows and a bucket of lengths (and a form of sampling). Up to
`CHUNK` tokens come out of one call; it ends early when no row wants more. The state is donated: the
cache is written where it lies.

Axes: B rows, P places of the longest prompt, C = CHUNK, K stop tokens.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrain.generation.forward import SlotCache, Weights, read_prompts, read_tokens
from jaxtrain.generation.sampling import Form, Knobs, choose
from jaxtrain.models.decoder import DecoderConfig, logits

CHUNK = 64


class Draw(NamedTuple):
    """What the choice of a token depends on besides its logits.

    Attributes:
        knobs: numbers of the sampling.
        keys: `[B]`, a random key a row.
        stop: `[K]` int32, tokens that end a row; -1 is none.
    """

    knobs: Knobs
    keys: jax.Array
    stop: Any


class DecodingState(NamedTuple):
    """Where the rows are.

    Attributes:
        cache: of all that was read.
        token: `[B]` int32, chosen and not yet read.
        number: int32, how many tokens were chosen in each row.
        done: `[B]`, whether a stop token was chosen.
        finite: `[B]`, whether the logits were, as long as the row was not done.
    """

    cache: SlotCache
    token: jax.Array
    number: jax.Array
    done: jax.Array
    finite: jax.Array


@functools.partial(jax.jit, static_argnames=("config", "form", "size", "tokens"))
def first_tokens(
    weights: Weights,
    prompts: jax.Array,
    lengths: jax.Array,
    draw: Draw,
    *,
    config: DecoderConfig,
    form: Form,
    size: int,
    tokens: int | None = None,
) -> DecodingState:
    """Prompts `[B, P]` of `lengths` `[B]` are read, and the first token of each row is chosen.

    Args:
        weights: of the decoder, by layer.
        prompts: padded on the right.
        lengths: at least 1 each.
        draw: how to choose.
        config: the decoder's sizes.
        form: of the sampling.
        size: slots of the cache.
        tokens: only those below it are chosen; None for all.
    """
    hidden, cache = read_prompts(weights, config, prompts, lengths, size=size)
    rows = len(lengths)
    before = DecodingState(
        cache,
        jnp.zeros(rows, jnp.int32),
        jnp.asarray(0, jnp.int32),
        jnp.zeros(rows, bool),
        jnp.ones(rows, bool),
    )
    return _chosen(weights, config, form, tokens, draw, hidden, before)


@functools.partial(
    jax.jit, static_argnames=("config", "form", "tokens"), donate_argnames=("state",)
)
def next_tokens(
    weights: Weights,
    state: DecodingState,
    draw: Draw,
    limit: jax.Array,
    *,
    config: DecoderConfig,
    form: Form,
    tokens: int | None = None,
) -> tuple[DecodingState, jax.Array, jax.Array]:
    """Up to `limit` more tokens of each row.

    Args:
        weights: of the decoder, by layer.
        state: where the rows are; given away.
        draw: how to choose.
        limit: at most C, and at most what the cache has slots for.
        config: the decoder's sizes.
        form: of the sampling.
        tokens: only those below it are chosen; None for all.

    Returns:
        The state, the tokens `[B, C]`, and how many of them were chosen before all rows were done.
    """
    found = jnp.zeros((len(state.token), CHUNK), jnp.int32)

    def wanted(carry: tuple[jax.Array, DecodingState, jax.Array]) -> jax.Array:
        number, state, _ = carry
        return (number < limit) & ~jnp.all(state.done)

    def another(
        carry: tuple[jax.Array, DecodingState, jax.Array],
    ) -> tuple[jax.Array, DecodingState, jax.Array]:
        number, state, found = carry
        hidden, cache = read_tokens(weights, config, state.token, state.cache)
        state = state._replace(cache=cache)
        state = _chosen(weights, config, form, tokens, draw, hidden, state)
        column = state.token[:, None]
        return number + 1, state, jax.lax.dynamic_update_slice(found, column, (0, number))

    start = (jnp.asarray(0, jnp.int32), state, found)
    number, state, found = jax.lax.while_loop(wanted, another, start)
    return state, found, number


@functools.partial(jax.jit, static_argnames=("size",))
def with_room(state: DecodingState, *, size: int) -> DecodingState:
    """The state with a cache of `size` slots."""
    return state._replace(cache=state.cache.grown(size))


def _chosen(
    weights: Weights,
    config: DecoderConfig,
    form: Form,
    tokens: int | None,
    draw: Draw,
    hidden: jax.Array,
    state: DecodingState,
) -> DecodingState:
    scores = logits(weights, config, hidden)[:, :tokens]
    # The n-th token of a row has a key of its own, whatever chunks and buckets there are.
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(draw.keys, state.number)
    token = choose(scores, draw.knobs, form, keys)
    finite = state.finite & (jnp.isfinite(jnp.max(scores, axis=-1)) | state.done)
    done = state.done | jnp.any(token[:, None] == draw.stop[None, :], axis=-1)
    return DecodingState(state.cache, token, state.number + 1, done, finite)
