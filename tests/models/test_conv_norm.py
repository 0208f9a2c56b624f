import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.conv_norm import ConvNorm
from jaxtrain.models.depthwise import depthwise


@pytest.mark.parametrize(
    ("size", "stride", "shape"), [(3, 1, (7, 8)), (3, 2, (4, 4)), (1, 2, (4, 4)), (7, 2, (4, 4))]
)
def test_sizes_are_rounded_up(size, stride, shape):
    module = ConvNorm(4, size, stride)
    images = jax.ShapeDtypeStruct((2, 7, 8, 3), jnp.float32)
    outputs, variables = jax.eval_shape(
        lambda images: module.init_with_output(jax.random.key(0), images, train=False), images
    )
    assert outputs.shape == (2, *shape, 4)
    assert variables["params"]["conv"]["kernel"].shape == (size, size, 3, 4)
    assert variables["params"]["conv"].keys() == {"kernel"}


def test_a_depthwise_one_has_a_window_a_channel():
    module = ConvNorm(3, 3, 2, depthwise=True)
    images = jax.random.normal(jax.random.key(1), (2, 5, 6, 3))
    variables = module.init(jax.random.key(0), images, train=False)
    kernel = variables["params"]["conv"]["kernel"]
    assert kernel.shape == (3, 3, 1, 3)
    outputs = module.apply(variables, images, train=False)
    expected = depthwise(images, kernel, stride=2) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_the_norms_scale_begins_at_zero_where_it_is_asked_for():
    images = jnp.ones((1, 2, 2, 1))
    for zero_scale in (False, True):
        module = ConvNorm(2, 1, zero_scale=zero_scale)
        params = module.init(jax.random.key(0), images, train=False)["params"]
        assert (params["norm"]["batch_norm"]["scale"] == (not zero_scale)).all()
