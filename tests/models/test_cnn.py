import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import cnn


@pytest.fixture
def batch():
    return {"inputs": jax.random.normal(jax.random.key(9), (4, 9, 8, 2))}


def test_shapes_and_names(batch):
    model = cnn(3, channels=(4, 6), hidden=(5,))
    variables = model.init(jax.random.key(0), batch)
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {
            "conv_0": {"kernel": (3, 3, 2, 4), "bias": (4,)},
            "conv_1": {"kernel": (3, 3, 4, 6), "bias": (6,)},
            "head": {
                "hidden_0": {"kernel": (2 * 2 * 6, 5), "bias": (5,)},
                "output": {"kernel": (5, 3), "bias": (3,)},
            },
        }
    }
    outputs, updated = model.apply(variables, batch, train=True)
    assert outputs.shape == (4, 3)
    assert updated == {}


def test_initialisation_is_as_stated():
    variables = cnn(3, channels=(64, 128)).init(
        jax.random.key(1), {"inputs": jnp.ones((1, 8, 8, 3))}
    )
    for layer, fan_in in (("conv_0", 27), ("conv_1", 9 * 64)):
        kernel = np.asarray(variables["params"][layer]["kernel"])
        assert abs(kernel.mean()) < 5 * np.sqrt(1 / fan_in / kernel.size)
        assert abs(kernel.var() * fan_in - 1) < 5 * np.sqrt(2 / kernel.size)
        assert not variables["params"][layer]["bias"].any()


def test_the_bias_may_be_added_after_pooling(batch):
    model = cnn(3, channels=(4,), hidden=())
    params = model.init(jax.random.key(0), batch)["params"]
    params["conv_0"]["bias"] = jnp.arange(4.0) - 1.5
    outputs, _ = model.apply({"params": params}, batch, train=True)
    maps = nn.Conv(4, (3, 3)).apply({"params": params["conv_0"]}, batch["inputs"])
    pooled = nn.max_pool(nn.relu(maps), (2, 2), (2, 2)).reshape(4, -1)
    expected = nn.Dense(3).apply({"params": params["head"]["output"]}, pooled)
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.slow
def test_a_shifted_pattern_is_found_again(batch):
    # A shift of 4 pixels shifts the maps by 1 after two poolings,
    # so a network whose head sums over places answers the same.
    model = cnn(2, channels=(3, 4), hidden=())
    images = jnp.zeros((2, 24, 24, 1)).at[0, 8:12, 8:12].set(1.0).at[1, 12:16, 8:12].set(1.0)
    variables = model.init(jax.random.key(0), {"inputs": images})
    variables["params"]["head"]["output"]["kernel"] = jnp.tile(jnp.eye(4, 2), (36, 1))
    outputs, _ = model.apply(variables, {"inputs": images}, train=False)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5)


@pytest.mark.slow
def test_every_parameter_gets_a_gradient(batch):
    model = cnn(3, channels=(4, 6), hidden=(5,), batch_norm=True)
    variables = model.init(jax.random.key(0), batch)

    def loss(params):
        outputs, _ = model.apply({**variables, "params": params}, batch, train=True)
        return jnp.mean(outputs**2 + outputs)

    gradients = jax.grad(loss)(variables["params"])
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradients))


def test_flat_inputs_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"images \[B, H, W, C\].*\(2, 64\).*an MLP"):
        cnn(3).init(jax.random.key(0), {"inputs": jnp.ones((2, 64))})


def test_images_too_small_for_the_blocks_are_refused():
    with pytest.raises(ConfigError, match=r"4 channels .* at least 16x16, found 8x9; give fewer"):
        cnn(3, channels=(1, 1, 1, 1)).init(jax.random.key(0), {"inputs": jnp.ones((2, 8, 9, 1))})


@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_runs_under_strict_promotion(batch, batch_norm):
    model = cnn(3, channels=(4,), dropout=0.5, batch_norm=batch_norm)
    with jax.numpy_dtype_promotion("strict"):
        variables = model.init(jax.random.key(0), batch)
        masked = {**batch, "row_mask": jnp.ones(4)}
        rngs = {"dropout": jax.random.key(1)}
        outputs, _ = model.apply(variables, masked, train=True, rngs=rngs)
    assert outputs.dtype == jnp.float32


@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_computes_in_bfloat16_when_given_bfloat16(batch, batch_norm):
    model = cnn(3, channels=(4,), batch_norm=batch_norm)
    variables = model.init(jax.random.key(0), batch)
    variables["params"] = jax.tree.map(lambda x: x.astype(jnp.bfloat16), variables["params"])
    low, _ = model.apply(variables, {"inputs": batch["inputs"].astype(jnp.bfloat16)}, train=False)
    assert low.dtype == jnp.bfloat16
