from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.models import from_linen
from jaxtrain.models.linen_layers import without_low_rank
from jaxtrain.models.low_rank import LowRank
from tests.lora.small import same_bits, trained


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=6, deterministic=True)(x)


class General(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.DenseGeneral((3, 2), axis=-1)(x)
        return nn.DenseGeneral(5, axis=(1, -1))(x)  # not the last two


class Convolutions(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3,), strides=2, padding="CIRCULAR")(x)
        x = nn.relu(nn.Conv(3, (2,), kernel_dilation=2, use_bias=False)(x))
        return nn.Dense(2)(x.reshape(len(x), -1))


class Tied(nn.Module):
    @nn.compact
    def __call__(self, x):
        embed = nn.Embed(9, 6)
        return embed.attend(jnp.tanh(nn.Dense(6)(embed(x))))


class Remat(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.remat(nn.Dense)(4)(x))


class Block(nn.Module):
    @nn.compact
    def __call__(self, carry, _):
        return nn.tanh(nn.Dense(6)(carry)), None


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, x):
        scan = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(2)(scan(name="layers")(x, None)[0])


FLOATS = jax.random.normal(jax.random.key(9), (4, 5, 6))
CASES = {
    "dense": (nn.Sequential([nn.Dense(7), nn.relu, nn.Dense(3)]), FLOATS, {}),
    "dense without bias": (nn.Dense(7, use_bias=False), FLOATS, {}),
    "dense general": (General(), FLOATS, {"in_axes": {"DenseGeneral_0": 1, "DenseGeneral_1": 2}}),
    "attention": (Attention(), FLOATS, {}),
    "convolutions": (Convolutions(), FLOATS, {}),
    "convolution in two dimensions": (nn.Conv(3, (3, 2), padding="SAME"), FLOATS[..., None], {}),
    "tied embedding": (Tied(), jnp.arange(8).reshape(4, 2), {"targets": ".*"}),
}


def made(name, **options):
    module, inputs, own = CASES[name]
    model = from_linen(module)
    variables = model.init(jax.random.key(0), {"inputs": inputs})
    params = jax.tree.map(lambda x: x + 0.1 * (x.ndim == 1), variables["params"])  # biases, too
    config = lora.LoRAConfig(**({"rank": 2, "alpha": 3} | own | options))

    @jax.jit
    def run(params):
        return model.apply({"params": params}, {"inputs": inputs}, train=False)[0]

    return model, params, lora.init(jax.random.key(1), params, config), run


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_beside_the_kernel_is_as_in_it(name, dora):
    _, params, fresh, run = made(name, dora=dora)
    before = run(params)
    assert same_bits(run(lora.apply(params, fresh)), before)
    adapter = trained(fresh)
    expected = run(lora.merge(params, adapter))
    np.testing.assert_allclose(run(lora.apply(params, adapter)), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - before).max() > 0.01


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree(name):
    _, params, fresh, run = made(name, dora=True)
    adapter = trained(fresh)

    def value(adapter, form):
        return jnp.sin(run(form(params, adapter))).sum()

    expected = jax.grad(value)(adapter, lora.merge)
    found = jax.grad(value)(adapter, lora.apply)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_several_by_row(name, dora):
    _, params, fresh, run = made(name, dora=dora)
    adapters = [trained(fresh, 1), trained(made(name, rank=1)[2], 2)]
    found = run(lora.apply_by_row(params, adapters, jnp.int32([1, -1, 0, 1])))
    alone = [run(lora.apply(params, a)) for a in adapters] + [run(params)]
    for row, number in enumerate([1, -1, 0, 1]):
        np.testing.assert_allclose(found[row], alone[number][row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_model_says_which_kernels_can_have_one(name):
    model, params, adapter, _ = made(name)
    batch = {"inputs": CASES[name][1]}
    assert model.low_rank({"params": params}, batch) == {t.path for t in adapter.targets}


def test_a_layer_within_remat():
    model = from_linen(Remat())
    batch = {"inputs": FLOATS}
    params = model.init(jax.random.key(0), batch)["params"]
    adapter = trained(lora.init(jax.random.key(1), params, lora.LoRAConfig(rank=2)))

    def value(adapter, form):
        params_now = form(params, adapter)
        return jnp.sin(model.apply({"params": params_now}, batch, train=False)[0]).sum()

    assert model.low_rank({"params": params}, batch) == {t.path for t in adapter.targets}
    expected = jax.value_and_grad(value)(adapter, lora.merge)
    found = jax.value_and_grad(value)(adapter, lora.apply)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_no_layer_reads_is_an_error():
    model = from_linen(Scanned())
    batch = {"inputs": FLOATS}
    params = model.init(jax.random.key(0), batch)["params"]
    adapter = lora.init(jax.random.key(1), params, lora.LoRAConfig(rank=2))
    assert [t.stacked for t in adapter.targets] == [False, True]
    assert model.low_rank({"params": params}, batch) == {"Dense_0/kernel"}
    with pytest.raises(ConfigError, match=r"layers/Dense_0/kernel\nMerge"):
        model.apply({"params": lora.apply(params, adapter)}, batch, train=False)


class Groups(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Conv(4, (3,), feature_group_count=2)(x)


class Own(nn.Dense):
    def __call__(self, inputs):
        return 2 * super().__call__(inputs)


@pytest.mark.parametrize(
    "module", [Groups(), Own(4), nn.DenseGeneral(4, batch_dims=(0,)), nn.ConvTranspose(4, (3,))]
)
def test_layers_that_compute_otherwise_take_none(module):
    model = from_linen(module)
    batch = {"inputs": FLOATS}
    variables = model.init(jax.random.key(0), batch)
    assert model.low_rank(variables, batch) == frozenset()


def test_input_axes_that_are_not_the_layers_are_refused():
    model, params, *_ = made("dense general")
    config = lora.LoRAConfig(rank=2, in_axes={"DenseGeneral_0": 2, "DenseGeneral_1": 2})
    adapter = lora.init(jax.random.key(0), params, config)
    with pytest.raises(ConfigError, match=r"in_axes=\{'DenseGeneral_0': 1\}"):
        model.apply(
            {"params": lora.apply(params, adapter)},
            {"inputs": CASES["dense general"][1]},
            train=False,
        )


def test_a_tree_without_one_is_as_it_was():
    params = {"Dense_0": {"kernel": jnp.ones((2, 2))}}
    plain, found = without_low_rank(params)
    assert found == {}
    assert plain["Dense_0"]["kernel"] is params["Dense_0"]["kernel"]
    kernel = LowRank(jnp.ones((2, 2)), jnp.ones((2, 1)), jnp.ones((1, 2)), jnp.float32(1))
    plain, found = without_low_rank({"Dense_0": {"kernel": kernel}})
    assert found["Dense_0/kernel"] is kernel
    np.testing.assert_array_equal(plain["Dense_0"]["kernel"], kernel.kernel)
