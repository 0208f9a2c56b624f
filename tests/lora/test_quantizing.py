from __future__ import annotations

import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxtrain as jt
from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, Protection
from jaxtrain.lora.targets import leaves_by_path
from jaxtrain.models import from_linen, from_nnx
from jaxtrain.models.decoder import DecoderConfig, decoder
from jaxtrain.models.quantized import is_quantized
from jaxtrain.step import cross_entropy, next_token
from tests.compiling import devices
from tests.lora.small import MODEL, batch, logits, params, same_bits, trained

CONFIG = LoRAConfig(rank=2)


def kinds(tree):
    return {path for path, leaf in leaves_by_path(tree).items() if is_quantized(leaf)}


def relative(one, other):
    return float(jnp.linalg.norm(one - other) / jnp.linalg.norm(other))


def test_kernels_of_dense_layers_are_in_few_bits_and_all_else_is_the_same_array():
    own = params()
    small = lora.quantize(own, "nf4")
    assert kinds(small) == {
        *(f"layers/attention/{name}/kernel" for name in "qkvo"),
        *(f"layers/mlp/{name}/kernel" for name in ("gate", "up", "down")),
    }
    before = leaves_by_path(own)
    for path, leaf in leaves_by_path(small).items():
        assert is_quantized(leaf) or leaf is before[path], path


def test_each_layer_of_a_stack_has_scales_of_its_own():
    own = params()
    scaled = jax.tree.map(lambda x: x, own)
    kernel = own["layers"]["mlp"]["up"]["kernel"]
    scaled["layers"]["mlp"]["up"]["kernel"] = kernel.at[1].multiply(1000)
    one, other = (lora.dequantize(lora.quantize(tree, "int8")) for tree in (own, scaled))
    np.testing.assert_array_equal(
        one["layers"]["mlp"]["up"]["kernel"][::2], other["layers"]["mlp"]["up"]["kernel"][::2]
    )


@pytest.mark.parametrize(("bits", "most"), [("int8", 0.01), ("int4", 0.12), ("nf4", 0.11)])
def test_what_comes_back_is_near(bits, most):
    own = params()
    back = lora.dequantize(lora.quantize(own, bits))
    assert jax.tree.structure(back) == jax.tree.structure(own)
    for path, leaf in leaves_by_path(back).items():
        assert relative(leaf, leaves_by_path(own)[path]) <= most, path


def test_kernels_of_several_input_axes_have_blocks_along_the_last():
    """`[I, I, O]`: as an adapter's config says, where shape and name don't."""
    tree = {"out": {"kernel": jnp.ones((4, 32, 8))}, "any": {"kernel": jnp.ones((4, 32, 8))}}
    small = lora.quantize(tree, "int8", LoRAConfig(in_axes={"any": 1}))
    assert small["out"]["kernel"].scale.shape == (4, 1, 8)
    assert small["any"]["kernel"].scale.shape == (1, 32, 8)
    with pytest.raises(ConfigError, match="in_axes"):
        lora.quantize(tree, "int8")


def test_what_can_not_be_quantised_is_named():
    with pytest.raises(ConfigError, match="expected one of int8, int4, nf4, found 'int3'"):
        lora.quantize(params(), "int3")
    with pytest.raises(ConfigError, match="kernel is in nf4 already"):
        lora.quantize(lora.quantize(params(), "nf4"), "int8")
    with pytest.raises(ConfigError, match="expected floats, found int32"):
        lora.quantize({"a": {"kernel": jnp.ones((64, 2), jnp.int32)}}, "int8")


def test_a_fresh_adapter_changes_no_bit_and_dora_begins_with_the_norms_that_are():
    small = lora.quantize(params(), "nf4")
    before = logits(small, batch()["inputs"])
    for config in (CONFIG, LoRAConfig(rank=2, dora=True)):
        adapter = lora.init(jax.random.key(1), small, config)
        assert same_bits(logits(lora.apply(small, adapter), batch()["inputs"]), before)
        merged = logits(lora.merge(small, adapter), batch()["inputs"])
        np.testing.assert_allclose(merged, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dora", [False, True])
def test_merged_it_is_floats_of_what_was_trained(dora):
    small = lora.quantize(params(), "int4")
    adapter = trained(lora.init(jax.random.key(1), small, LoRAConfig(rank=2, dora=dora)))
    merged, kept = lora.merge(small, adapter, keep=True)
    assert not kinds(merged)
    some = lora.init(jax.random.key(1), small, LoRAConfig(rank=2, targets=("q",)))
    others, before = lora.merge(small, some, keep=True)  # of kernels without an adapter, too
    assert not kinds(others)
    assert same_bits(lora.unmerge(others, before), small)
    floats = lora.merge(lora.dequantize(small), adapter)
    for a, b in zip(jax.tree.leaves(merged), jax.tree.leaves(floats), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    back = lora.unmerge(merged, kept)
    assert same_bits(back, small)
    assert kinds(back) == kinds(small)


def test_a_lossy_merge_is_measured_against_what_the_kernel_stands_for():
    own = jax.tree.map(lambda x: x.astype("bfloat16"), params())
    small = lora.quantize(own, "nf4")
    adapter = trained(lora.init(jax.random.key(1), small, CONFIG))
    _, lost = lora.merge_with_report(small, adapter)
    _, same = lora.merge_with_report(lora.dequantize(small), adapter)
    # XLA need not round to bfloat16 between what a kernel stands for and the update.
    assert lost == pytest.approx(same, rel=0.05)
    assert lost


def test_pissa_wants_floats():
    with pytest.raises(ConfigError, match=r"pissa takes from .* and that is in nf4"):
        lora.init_pissa(jax.random.key(0), lora.quantize(params(), "nf4"), LoRAConfig(init="pissa"))
    with pytest.raises(ConfigError, match='quantize: with init="pissa"'):
        lora.model(MODEL, LoRAConfig(init="pissa"), quantize="nf4")


class Net(nn.Module):
    """A convolution, a kernel without an adapter, and a head."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(16, (3, 3), name="conv")(x)).mean((1, 2))
        x = nn.relu(nn.Dense(32, name="first")(x))
        return nn.Dense(3, name="head")(nn.relu(nn.Dense(32, name="second")(x)))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(48, 32, rngs=rngs)
        self.second = nnx.Linear(32, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x.reshape(len(x), -1))))


IMAGES = {
    "inputs": jax.random.normal(jax.random.key(5), (8, 4, 4, 3)),
    "labels": jnp.arange(8) % 3,
}


def other_models():
    yield from_linen(Net()), "auto", LoRAConfig(rank=2, targets=("first", "conv"))
    yield from_linen(Net()), "merge", LoRAConfig(rank=2, targets=("first", "conv"))
    yield from_nnx(lambda rngs: NnxNet(rngs)), "auto", LoRAConfig(rank=2, targets=("first",))


def run(model, config, form, data, loss, frozen, quantize=None, **options):
    """The losses of some steps, and the states before and behind them."""
    own = lora.model(model, config, form=form, quantize=quantize, **options)
    adapter = lora.init(jax.random.key(1), frozen, config)
    tx = optax.sgd(0.05)
    first = jt.create_train_state(
        own, tx, data, rng=jax.random.key(0), params=adapter, frozen=frozen
    )
    step, state, losses = jax.jit(jt.make_train_step(own, loss, tx)), first, []
    for _ in range(4):
        state, output = step(state, data)
        losses.append(float(output["loss"]))
    return losses, first, state


@pytest.mark.parametrize("number", range(3))
def test_any_model_trains_as_beside_the_floats_that_they_stand_for(number):
    model, form, config = list(other_models())[number]
    base = model.init(jax.random.key(2), IMAGES)["params"]
    small = lora.quantize(base, "nf4")
    assert len(kinds(small)) >= 2
    losses, first, last = run(model, config, form, IMAGES, cross_entropy(), small, "nf4")
    floats, *_ = run(model, config, form, IMAGES, cross_entropy(), lora.dequantize(small))
    np.testing.assert_allclose(losses, floats, rtol=1e-4)
    assert losses[-1] < losses[0]
    assert same_bits(last.frozen, small)
    assert kinds(first.frozen) == kinds(small)


@pytest.mark.parametrize("form", ["low_rank", "merge"])
def test_the_decoder_does_too(form):
    small = lora.quantize(params(), "nf4")
    losses, _, last = run(MODEL, CONFIG, form, batch(), next_token(), small, "nf4")
    floats, *_ = run(MODEL, CONFIG, form, batch(), next_token(), lora.dequantize(small))
    np.testing.assert_allclose(losses, floats, rtol=1e-3)
    assert same_bits(last.frozen, small)


def test_protections_see_what_the_kernels_stand_for():
    protection = Protection(previous_kl=0.5, project=0.25)
    small = lora.quantize(params(), "int8")
    one, other = (
        lora.frozen_for(base, CONFIG, protection)["directions"]
        for base in (small, lora.dequantize(small))
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-4)


def test_what_init_makes_is_of_the_form_that_training_takes():
    own = lora.model(MODEL, CONFIG, quantize="nf4")
    expected = jax.eval_shape(lambda rng: own.init(rng, batch()), jax.random.key(0))["frozen"]
    small = lora.quantize(params(), "nf4")
    assert jax.tree.structure(expected) == jax.tree.structure(small)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), expected) == jax.tree.map(
        lambda x: (x.shape, x.dtype), small
    )


@pytest.mark.parametrize("bits", ["int8", "nf4"])
def test_facts_say_what_it_takes(bits):
    config = DecoderConfig.llama(vocab_size=31, width=512, layers=1, heads=1, hidden=1024)
    facts = lora.model(decoder(config), CONFIG, quantize=bits).facts
    floats = 4 * 512 * 512 + 3 * 512 * 1024
    small = (floats + 4 * floats / 64) / 2**20  # a byte for 4 bits, too: XLA's CPU packs none
    assert facts(batch(), "float32")["base"] == (
        f"{bits}: kernels of {small:.1f} MiB in the place of {4 * floats / 2**20:.1f} MiB"
    )
    assert "base" not in lora.model(MODEL, CONFIG).facts(batch(), "float32")


def test_linen_s_own_layers_keep_the_adapter_beside_them():
    own = lora.model(from_linen(Net()), LoRAConfig(rank=2, targets=("first",)), quantize="nf4")
    assert own.facts(IMAGES, "float32")["lora"].startswith("low_rank: beside 1 kernels")


def test_a_base_of_another_form_than_was_said_is_refused():
    for frozen, quantize in ((params(), "nf4"), (lora.quantize(params(), "nf4"), None)):
        with pytest.raises(ConfigError, match="frozen is not of the form that the model makes"):
            run(MODEL, CONFIG, "auto", batch(), next_token(), frozen, quantize)


def test_a_base_in_other_bits_than_was_said_is_refused():
    with pytest.raises(ConfigError, match="expected a base in nf4, found one in int8"):
        run(MODEL, CONFIG, "auto", batch(), next_token(), lora.quantize(params(), "int8"), "nf4")


ON_TWO_DEVICES = """
import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtrain import lora

mesh = jax.make_mesh((2,), ("m",), axis_types=(AxisType.Auto,))
for spec in (("m", None), (None, "m")):
    layout = NamedSharding(mesh, PartitionSpec(*spec))
    kernel = jax.device_put(jax.random.normal(jax.random.key(0), (256, 512)), layout)
    for bits in ("int8", "int4", "nf4"):
        found = lora.quantize({"a": {"kernel": kernel}}, bits)["a"]["kernel"]
        assert found.values.sharding.is_equivalent_to(layout, 2), (bits, spec)
        assert found.values.addressable_shards[0].data.size == 256 * 512 // 2
        scales = 256 // 64 * 512  # a block's scales are split by outputs alone
        assert found.scale.addressable_shards[0].data.size == (scales if spec[0] else scales // 2)
"""


def test_it_lies_over_devices_as_its_kernel_did():
    environment = {**os.environ, **devices(2)}
    command = [sys.executable, "-W", "error", "-c", ON_TWO_DEVICES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
