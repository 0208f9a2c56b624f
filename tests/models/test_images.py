import jax.numpy as jnp
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models.images import refuse_other_inputs


def test_images_have_four_axes():
    refuse_other_inputs(jnp.ones((2, 8, 8, 1)), "Net")
    for shape in ((2, 64), (2, 8, 8), (2, 1, 8, 8, 1)):
        with pytest.raises(ConfigError, match=r"a Net wants images \[B, H, W, C\], .* shape \(2, "):
            refuse_other_inputs(jnp.ones(shape), "Net")
