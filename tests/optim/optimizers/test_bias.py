import jax.numpy as jnp
import pytest

from jaxtrain.optim.optimizers.bias import filled


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999, 0.99999])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_it_has_all_digits_of_float32(decay, count):
    assert float(filled(decay, jnp.int32(count))) == pytest.approx(1 - decay**count, rel=2e-7)
