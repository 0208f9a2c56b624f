import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder.norm import rms_norm


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 4, 8)).astype("f"), rng.normal(size=8).astype("f")


@pytest.mark.parametrize(("kind", "around"), [("llama", 0.0), ("gemma", 1.0)])
def test_it_is_the_formula(numbers, kind, around):
    inputs, scale = numbers
    wide = inputs.astype(np.float64)
    root = np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-3)
    found = rms_norm(jnp.asarray(inputs), jnp.asarray(scale), kind=kind, eps=1e-3)
    np.testing.assert_allclose(found, wide / root * (around + scale), rtol=1e-5)


def test_in_bfloat16_llama_rounds_before_it_scales_and_gemma_after(numbers):
    inputs, scale = (jnp.asarray(x, jnp.bfloat16) for x in numbers)
    wide = inputs.astype(jnp.float32)
    normal = wide / jnp.sqrt((wide * wide).mean(-1, keepdims=True) + 1e-6)
    llama = normal.astype(jnp.bfloat16) * scale
    gemma = (normal * (1 + scale.astype(jnp.float32))).astype(jnp.bfloat16)
    np.testing.assert_array_equal(rms_norm(inputs, scale, kind="llama", eps=1e-6), llama)
    np.testing.assert_array_equal(rms_norm(inputs, scale, kind="gemma", eps=1e-6), gemma)


def test_squares_that_bfloat16_would_lose_count():
    inputs = jnp.asarray([300.0] + [1.0] * 1023, jnp.bfloat16)
    found = rms_norm(inputs, jnp.ones(1024, jnp.bfloat16), kind="llama", eps=1e-6)
    assert float(found[0]) == pytest.approx(300 / np.sqrt((90_000 + 1023) / 1024), rel=0.005)
