import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxtrain.models.pooling import max_pool_2x2


@pytest.mark.parametrize("shape", [(2, 8, 6, 3), (2, 7, 5, 1), (1, 2, 3, 4)])
def test_pooling_equals_reduce_window(shape):
    images = jax.random.normal(jax.random.key(0), shape)
    window = (1, 2, 2, 1)
    expected = jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, window, window, "VALID")
    np.testing.assert_array_equal(max_pool_2x2(images), expected)


@pytest.mark.parametrize("equal", [False, True], ids=["distinct", "with equal values"])
def test_the_gradient_of_pooling_equals_that_of_reduce_window(equal):
    # Windows of equal values are what the black border of an image gives.
    images = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    images = jnp.round(images) if equal else images
    cotangents = jax.random.normal(jax.random.key(1), (2, 3, 3, 3))

    def of(pool):
        return jax.vjp(pool, images)[1](cotangents)[0]

    by_window = of(lambda x: nn.max_pool(x, (2, 2), (2, 2)))
    np.testing.assert_array_equal(of(max_pool_2x2), by_window)


def test_pooling_has_a_derivative_in_both_directions():
    images = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    check_grads(max_pool_2x2, (images,), order=2, modes=("fwd", "rev"))
