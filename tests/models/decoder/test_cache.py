import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig, KVCache, hidden_states, initial_params

CONFIG = DecoderConfig.gemma(vocab_size=50, width=24, layers=3, heads=4, kv_heads=2, head_dim=6)

# Compiled as a whole, not an operation at a time.
states = jax.jit(hidden_states, static_argnums=1, static_argnames=("form", "remat", "attention"))


@pytest.fixture(scope="module")
def params():
    # Ten times the initial ones, so that attention is not nearly uniform.
    return jax.tree.map(lambda p: 10 * p, initial_params(jax.random.key(0), CONFIG))


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(0, 50, (2, 12), dtype=np.int32)


@pytest.mark.parametrize("form", ["scan", "unroll"])
def test_prefill_and_single_steps_are_the_whole_forward_pass(params, tokens, form):
    read = jax.jit(lambda t, cache: states(params, CONFIG, t, cache=cache, form=form))
    whole = states(params, CONFIG, tokens)
    cache = KVCache.empty(CONFIG, batch=2, size=16)
    found, cache = read(tokens[:, :7], cache)
    parts = [found]
    for i in range(7, 12):
        found, cache = read(tokens[:, i : i + 1], cache)
        parts.append(found)
    np.testing.assert_allclose(jnp.concatenate(parts, 1), whole, rtol=1e-5, atol=1e-5)
    assert cache.position.tolist() == [12, 12]
    assert cache.k.shape == (3, 2, 16, 2, 6)
    assert not cache.k[:, :, 12:].any()


def test_prompts_of_unequal_length_go_on_where_each_ends(params, tokens):
    read = jax.jit(lambda t, cache: states(params, CONFIG, t, cache=cache))
    lengths = np.array([7, 4], np.int32)
    padded = np.where(np.arange(7) < lengths[:, None], tokens[:, :7], 0)
    _, cache = read(padded, KVCache.empty(CONFIG, batch=2, size=12))
    cache = cache.at(lengths)
    for _ in range(3):
        at = np.asarray(cache.position)
        found, cache = read(tokens[[0, 1], at][:, None], cache)
        for row in range(2):
            whole = states(params, CONFIG, tokens[row : row + 1, : at[row] + 1])
            np.testing.assert_allclose(found[row, 0], whole[0, -1], rtol=1e-5, atol=1e-5)
    assert cache.position.tolist() == [10, 7]


def test_what_has_no_room_is_not_written(params, tokens):
    _, full = states(params, CONFIG, tokens[:, :4], cache=KVCache.empty(CONFIG, batch=2, size=4))
    _, after = states(params, CONFIG, tokens[:, 4:5], cache=full)
    np.testing.assert_array_equal(after.k, full.k)
    np.testing.assert_array_equal(after.v, full.v)
    assert after.position.tolist() == [5, 5]


def test_a_narrow_cache_holds_narrow_numbers(params, tokens):
    cache = KVCache.empty(CONFIG, batch=2, size=12, dtype="bfloat16")
    found, after = states(params, CONFIG, tokens, cache=cache)
    assert after.k.dtype == after.v.dtype == jnp.bfloat16
    assert found.dtype == jnp.float32


def test_a_cache_has_no_segments(params, tokens):
    cache = KVCache.empty(CONFIG, batch=2, size=12)
    with pytest.raises(ValueError, match="either segments or a cache"):
        states(params, CONFIG, tokens, segments=jnp.ones((2, 12), int), cache=cache)
