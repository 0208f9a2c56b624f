"""Generation's own forward pass: the numbers of the trunk, in another layout."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.generation import forward
from jaxtrain.generation.forward import by_layer
from jaxtrain.models.decoder import hidden_states

read_prompts = jax.jit(forward.read_prompts, static_argnums=1, static_argnames="size")
read_tokens = jax.jit(forward.read_tokens, static_argnums=1)
LENGTHS = [3, 9, 1]


@pytest.fixture(scope="module")
def text():
    return np.random.default_rng(0).integers(0, 96, (len(LENGTHS), 20), dtype=np.int32)


def close(found, expected):
    error = np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()
    assert error < 1e-5, error


def test_states_are_those_of_the_trunk(decoder_of, text):
    """Of each row alone, without a cache, at its own positions."""
    params, config = decoder_of
    weights, lengths = by_layer(params), jnp.asarray(LENGTHS, jnp.int32)
    expected = [np.asarray(hidden_states(params, config, row[None])[0]) for row in text]
    prompts = np.where(np.arange(10) < lengths[:, None], text[:, :10], 95)
    hidden, cache = read_prompts(weights, config, prompts, lengths, size=16)
    for row, length in enumerate(LENGTHS):
        close(hidden[row], expected[row][length - 1])
    for step in range(8):
        if step == 5:
            cache = cache.grown(24)
        tokens = jnp.asarray([text[row, n + step] for row, n in enumerate(LENGTHS)])
        hidden, cache = read_tokens(weights, config, tokens, cache)
        for row, length in enumerate(LENGTHS):
            close(hidden[row], expected[row][length + step])
    assert cache.size == 24


def test_what_fills_a_prompt_up_is_never_read(llama, text):
    params, config = llama
    weights, lengths = by_layer(params), jnp.asarray(LENGTHS, jnp.int32)
    states = []
    for filling in (0, 95):
        prompts = np.where(np.arange(10) < lengths[:, None], text[:, :10], filling)
        first, cache = read_prompts(weights, config, prompts, lengths, size=16)
        then, _ = read_tokens(weights, config, jnp.asarray([1, 2, 3]), cache)
        states.append((first, then))
    np.testing.assert_array_equal(states[0][0], states[1][0])
    np.testing.assert_array_equal(states[0][1], states[1][1])


def test_the_cache_is_of_the_parameters_dtype(llama, text):
    params, config = llama
    weights = by_layer(jax.tree.map(lambda x: x.astype("bfloat16"), params))
    hidden, cache = read_prompts(weights, config, text, jnp.full(3, 20, jnp.int32), size=32)
    after, read = read_tokens(weights, config, jnp.asarray([1, 2, 3]), cache)
    assert {x.dtype for x in (hidden, after, *cache.k, *read.v)} == {jnp.dtype("bfloat16")}
    assert cache.k[0].shape == (3, config.kv_heads, 32, config.head_dim)
