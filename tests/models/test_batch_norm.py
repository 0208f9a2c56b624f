import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.batch_norm import BatchNorm


@pytest.fixture(params=[(8, 3), (8, 4, 5, 3)], ids=["rows", "images"])
def inputs(request):
    return 2.0 + 3.0 * jax.random.normal(jax.random.key(0), request.param)


def run(inputs, *, train, row_mask=None):
    module = BatchNorm()
    variables = module.init(jax.random.key(0), inputs, train=False)
    outputs, updated = module.apply(
        variables, inputs, train=train, row_mask=row_mask, mutable=["batch_stats"]
    )
    return outputs, updated["batch_stats"]["batch_norm"]


def test_training_normalises_and_moves_the_statistics_a_tenth(inputs):
    outputs, stats = run(inputs, train=True)
    axes = tuple(range(inputs.ndim - 1))
    np.testing.assert_allclose(outputs.mean(axes), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(outputs.var(axes), np.ones(3), rtol=1e-3)
    np.testing.assert_allclose(stats["mean"], 0.1 * inputs.mean(axes), rtol=1e-4)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * inputs.var(axes), rtol=1e-4)


def test_evaluation_uses_the_running_statistics(inputs):
    outputs, stats = run(inputs, train=False)
    np.testing.assert_allclose(outputs, inputs, rtol=1e-4)
    assert not stats["mean"].any()


def test_padding_does_not_count(inputs):
    mask = jnp.array([1.0] * 5 + [0.0] * 3)
    spoiled = inputs.at[5:].set(1e6)
    outputs, stats = run(spoiled, train=True, row_mask=mask)
    alone, stats_alone = run(inputs[:5], train=True)
    np.testing.assert_allclose(outputs[:5], alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stats["mean"], stats_alone["mean"], rtol=1e-5)
    np.testing.assert_allclose(stats["var"], stats_alone["var"], rtol=1e-5)


def test_a_batch_of_padding_only_leaves_everything_finite(inputs):
    outputs, stats = run(inputs, train=True, row_mask=jnp.zeros(8))
    assert np.isfinite(outputs).all()
    assert all(np.isfinite(leaf).all() for leaf in stats.values())
