"""The loop over tokens: what it holds, and what it gives away."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxtrain.generation.decoding import CHUNK, Draw, first_tokens, next_tokens, with_room
from jaxtrain.generation.forward import by_layer
from jaxtrain.generation.sampling import Sampling

PROMPTS, LENGTHS = np.asarray([[1, 2], [7, 0]], np.int32), np.asarray([2, 1], np.int32)


@pytest.fixture(scope="module")
def begun(llama):
    """begun(stop, size=16): weights, draw, the state behind two prompts, and the static options."""
    params, config = llama
    weights = by_layer(params)

    def begin(*stop, size=16):
        keys = jax.random.split(jax.random.key(0), 2)
        draw = Draw(Sampling().knobs(), keys, np.asarray([*stop, -1], np.int32))
        options = {"config": config, "form": "greedy"}
        state = first_tokens(weights, PROMPTS, LENGTHS, draw, **options, size=size)
        return weights, draw, state, options

    return begin


def test_the_cache_is_written_where_it_lies(begun):
    weights, draw, state, options = begun()
    places = [x.unsafe_buffer_pointer() for x in (*state.cache.k, *state.cache.v)]
    after, _, number = next_tokens(weights, state, draw, 5, **options)
    assert int(number) == int(after.cache.steps) == 5
    assert all(x.is_deleted() for x in (*state.cache.k, *state.cache.v))
    assert [x.unsafe_buffer_pointer() for x in (*after.cache.k, *after.cache.v)] == places


def test_no_more_than_the_limit(begun):
    weights, draw, state, options = begun()
    state, tokens, number = next_tokens(weights, state, draw, 3, **options)
    assert tokens.shape == (2, CHUNK)
    assert (int(number), int(state.number)) == (3, 4)
    assert not np.asarray(tokens)[:, 3:].any()
    assert np.asarray(tokens)[:, 2].tolist() == state.token.tolist()


def test_it_goes_on_until_the_last_row_is_done(begun):
    weights, draw, state, options = begun()
    _, tokens, _ = next_tokens(weights, state, draw, 10, **options)
    found = np.asarray(tokens)[:, :10]
    stop = [next(t for t in row if t not in other) for row, other in (found, found[::-1])]
    ends = [row.tolist().index(token) for row, token in zip(found, stop, strict=True)]
    weights, draw, state, options = begun(*stop)
    state, _, number = next_tokens(weights, state, draw, 10, **options)
    assert int(number) == max(ends) + 1
    assert state.done.all()
    _, _, number = next_tokens(weights, state, draw, 10, **options)
    assert int(number) == 0


def test_more_room_changes_nothing(begun):
    weights, draw, state, options = begun(size=8)
    assert state.cache.size == 8
    _, expected, _ = next_tokens(*begun(size=32)[:1], begun(size=32)[2], draw, 20, **options)
    state, first, _ = next_tokens(weights, state, draw, 6, **options)
    _, then, _ = next_tokens(weights, with_room(state, size=32), draw, 14, **options)
    found = np.concatenate([np.asarray(first)[:, :6], np.asarray(then)[:, :14]], axis=1)
    assert found.tolist() == np.asarray(expected)[:, :20].tolist()


def test_logits_that_are_not_finite_are_told_by_row(begun):
    weights, draw, state, options = begun()
    assert state.finite.all()
    k = state.cache.k[0].at[1, 0, 0, 0].set(np.nan)
    state = state._replace(cache=state.cache._replace(k=(k, *state.cache.k[1:])))
    state, _, _ = next_tokens(weights, state, draw, 2, **options)
    assert state.finite.tolist() == [True, False]
