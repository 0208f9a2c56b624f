import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling
from jaxtrain.models.decoder.rope import inverse_frequencies, rotate, rotation

CONFIG = DecoderConfig.llama(vocab_size=9, width=32, layers=1, heads=4)


def turned(heads, positions, config=CONFIG):
    return rotate(jnp.asarray(heads), *rotation(jnp.asarray(positions), config))


def test_features_turn_in_pairs_half_a_head_apart():
    heads = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype("f")
    positions = np.array([[0, 1, 2], [7, 100, 3000]], np.int32)
    as_complex = heads[..., :4] + 1j * heads[..., 4:]
    angles = positions[..., None] / 10_000.0 ** (np.arange(4) / 4)
    expected = as_complex * np.exp(1j * angles)[:, :, None, :]
    found = turned(heads, positions)
    np.testing.assert_allclose(found[..., :4], expected.real, atol=2e-3)
    np.testing.assert_allclose(found[..., 4:], expected.imag, atol=2e-3)
    np.testing.assert_array_equal(found[0, 0], heads[0, 0])


def test_products_depend_on_the_distance_alone():
    q, k = np.random.default_rng(0).normal(size=(2, 1, 1, 4, 8)).astype("f")

    def product(at, to):
        return np.sum(turned(q, [[at]]) * turned(k, [[to]]), axis=-1)

    np.testing.assert_allclose(product(5, 2), product(105, 102), rtol=1e-4)


def test_angles_are_float32_whatever_is_turned():
    positions = jnp.array([[4001]], jnp.int32)  # in bfloat16 this would be 4000
    narrow = turned(jnp.ones((1, 1, 1, 8), jnp.bfloat16), positions)
    wide = turned(jnp.ones((1, 1, 1, 8)), positions)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.astype(jnp.float32), wide, atol=0.02)


def test_llama_3_stretches_long_wavelengths_only():
    scaling = Llama3Scaling(
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,
    )
    config = dataclasses.replace(CONFIG, head_dim=64)
    plain = inverse_frequencies(config)
    scaled = inverse_frequencies(dataclasses.replace(config, rope_scaling=scaling))
    wavelengths = 2 * np.pi / plain
    short, long = wavelengths < 16, wavelengths > 64
    np.testing.assert_allclose(scaled[short], plain[short], rtol=1e-6)
    np.testing.assert_allclose(scaled[long], plain[long] / 8, rtol=1e-6)
    between = ~short & ~long
    assert between.sum() > 2
    assert (scaled[between] < plain[between]).all()
    assert (scaled[between] > plain[between] / 8).all()
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("size", [6, 10])
def test_any_even_size_turns(size):
    config = dataclasses.replace(CONFIG, head_dim=size)
    heads = jnp.ones((1, 2, 1, size))
    lengths = jnp.linalg.norm(turned(heads, [[3, 9]], config), axis=-1)
    np.testing.assert_allclose(lengths, size**0.5, rtol=1e-5)
