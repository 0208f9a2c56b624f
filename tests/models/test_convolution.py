import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxtrain.models.convolution import conv_3x3


@pytest.mark.parametrize(("channels", "features"), [(1, 9), (1, 8), (2, 20), (3, 20)])
def test_the_convolution_equals_flax(channels, features):
    images = jax.random.normal(jax.random.key(0), (2, 7, 6, channels))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, channels, features))
    cotangents = jax.random.normal(jax.random.key(2), (2, 7, 6, features))

    def by_flax(images, kernel):
        return nn.Conv(features, (3, 3), use_bias=False).apply(
            {"params": {"kernel": kernel}}, images
        )

    maps, back = jax.vjp(conv_3x3, images, kernel)
    expected, expected_back = jax.vjp(by_flax, images, kernel)
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(back(cotangents), expected_back(cotangents), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
