import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.models.stochastic_depth import StochasticDepth, linear_decay


def test_whole_rows_are_left_out_and_the_rest_makes_up_for_them():
    branch = jax.random.normal(jax.random.key(0), (4000, 3, 2)) + 9
    layer = StochasticDepth(0.25)
    found = layer.apply({}, branch, train=True, rngs={"dropout": jax.random.key(1)})
    kept = np.asarray((found != 0).any(axis=(1, 2)))
    assert not np.asarray(found)[~kept].any()
    np.testing.assert_allclose(found[kept], branch[kept] / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 5 * np.sqrt(0.25 * 0.75 / 4000)
    assert layer.apply({}, branch, train=False) is branch


def test_a_rate_of_zero_draws_nothing():
    branch = jnp.ones((2, 3))
    assert StochasticDepth(0.0).apply({}, branch, train=True) is branch


def test_rates_grow_evenly_to_the_last():
    rates = linear_decay(0.2, 8)
    np.testing.assert_allclose(rates, np.arange(1, 9) / 40)
    assert linear_decay(0.2, 1) == (0.2,)
