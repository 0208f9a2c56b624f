from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.depthwise import DepthwiseConv, _add_shifted, _convolve, depthwise


@pytest.mark.parametrize(("size", "stride", "shape"), [(3, 1, (5, 6)), (5, 3, (7, 6))])
def test_both_forms_are_one_function_with_one_gradient(size, stride, shape):
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (2, *shape, 3))
    kernel = jax.random.normal(keys[1], (size, size, 1, 3))
    rows, columns = (-(-axis // stride) for axis in shape)
    given = jax.random.normal(keys[2], (2, rows, columns, 3))

    @partial(jax.jit, static_argnums=0)
    def both(form, images, kernel):
        found, back = jax.vjp(partial(form, stride=stride), images, kernel)
        return found, *back(given)

    expected = both(_convolve, images, kernel)
    for form in (_add_shifted, depthwise):
        for ours, theirs in zip(both(form, images, kernel), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_it_computes_in_half_precision_and_under_strict_promotion():
    module = DepthwiseConv(3, 2, jax.nn.initializers.ones)
    images = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        kernel = jnp.ones((3, 3, 1, 2), jnp.bfloat16)
        outputs = module.apply({"params": {"kernel": kernel}}, images)
    assert outputs.dtype == jnp.bfloat16
    assert outputs[0, :, :, 0].tolist() == [[4, 6], [6, 9]]
