from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig
from jaxtrain.models import from_nnx
from tests.lora.small import adapter, batch, logits, params, same_bits, trained


@pytest.mark.parametrize("options", [{}, {"rslora": True}])
def test_merging_adds_scale_a_b(options):
    base, given = params(), adapter(**options)
    merged = lora.merge(base, given)
    for module in given.modules():
        part, name = module.name.split(".")[2:]
        before, after = (t["layers"][part][name]["kernel"][module.layer] for t in (base, merged))
        scale = module.alpha / (module.rank**0.5 if options else module.rank)
        np.testing.assert_allclose(
            after, before + scale * module.a @ module.b, rtol=1e-5, atol=1e-5
        )
    assert merged["head"]["kernel"] is base["head"]["kernel"]


def test_with_dora_columns_have_their_magnitude():
    base, given = params(), adapter(dora=True)
    merged = lora.merge(base, given)
    for module in given.modules():
        part, name = module.name.split(".")[2:]
        norms = np.linalg.norm(merged["layers"][part][name]["kernel"][module.layer], axis=0)
        np.testing.assert_allclose(norms, np.abs(module.m), rtol=1e-4)


@pytest.mark.parametrize("dora", [False, True])
def test_layers_without_an_adapter_keep_their_bits(dora):
    base, given = params(), adapter(dora=dora)
    merged = lora.merge(base, given)
    for part in ("attention", "mlp"):
        assert same_bits(
            jax.tree.map(lambda x: x[1], merged["layers"][part]),
            jax.tree.map(lambda x: x[1], base["layers"][part]),
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("dora", [False, True])
def test_unmerging_gives_back_every_bit(dtype, dora):
    base = params(dtype)
    given = trained(lora.init(jax.random.key(0), base, LoRAConfig(dora=dora)), size=3)
    merged, kept = lora.merge(base, given, keep=True)
    assert not same_bits(merged, base)
    assert {leaf.dtype for leaf in jax.tree.leaves(merged)} == {jnp.dtype(dtype)}
    again = lora.unmerge(merged, kept)
    assert same_bits(again, base)
    assert again["layers"]["mlp"]["up"]["kernel"] is base["layers"]["mlp"]["up"]["kernel"]


def test_unmerging_leaves_alone_what_the_merge_left_alone():
    base = params()
    merged, kept = lora.merge(base, adapter(), keep=True)
    merged["head"]["kernel"] = merged["head"]["kernel"] + 1
    again = lora.unmerge(merged, kept)
    assert again["head"]["kernel"] is merged["head"]["kernel"]


def test_unmerging_other_parameters_is_refused():
    _, kept = lora.merge(params(), adapter(), keep=True)
    with pytest.raises(ConfigError, match=r"expected float32\[3, .*\], found bfloat16\[3"):
        lora.unmerge(params("bfloat16"), kept)
    with pytest.raises(ConfigError, match="have not"):
        lora.unmerge({"head": params()["head"]}, kept)


@pytest.mark.parametrize("call", [lora.merge, lora.merge_with_report, lora.apply])
def test_arguments_the_wrong_way_round_are_told(call):
    with pytest.raises(ConfigError, match="adapter: expected parameters, and then an Adapter"):
        call(adapter(), params())
    with pytest.raises(ConfigError, match="unmerge: expected merged parameters, and then what"):
        lora.unmerge(*reversed(lora.merge(params(), adapter(), keep=True)))


def test_sums_are_float32_and_cast_once():
    """Rounded first, an update of a third of a bfloat16 step and another one is lost twice."""
    kernel = jnp.full((2, 1), 1, jnp.bfloat16)
    base = {"Dense_0": {"kernel": kernel}}
    config = LoRAConfig(rank=2, alpha=2)
    made = lora.init(jax.random.key(0), base, config)
    step = 2.0**-7  # of bfloat16 from 1 on
    factors = {"a": jnp.full((2, 2), 0.3 * step), "b": jnp.ones((2, 1))}
    given = lora.Adapter({"Dense_0/kernel": factors}, config, made.targets)
    merged = lora.merge(base, given)["Dense_0"]["kernel"]
    np.testing.assert_array_equal(merged.astype(jnp.float32), 1 + step)


def test_what_a_narrow_dtype_has_lost_is_told():
    base = params("bfloat16")
    given = lora.init(jax.random.key(0), base, LoRAConfig(targets=("q",)))
    small, large = trained(given, size=1e-5), trained(given, size=1.0)
    merged, report = lora.merge_with_report(base, small)
    assert same_bits(merged, lora.merge(base, small))
    assert report.keys() == {f"layers.{i}.attention.q" for i in range(3)}
    assert all(0.9 < ratio <= 1.5 for ratio in report.values())
    _, less = lora.merge_with_report(base, large)
    assert all(0 < ratio < 0.02 for ratio in less.values())
    wide = base["layers"]["attention"]["q"]["kernel"][0].astype(jnp.float32)
    module = next(iter(large.modules()))
    update = module.scale * module.a @ module.b
    lost = (wide + update) - (wide + update).astype(jnp.bfloat16).astype(jnp.float32)
    expected = np.linalg.norm(lost) / np.linalg.norm(update)
    np.testing.assert_allclose(less[module.name], expected, rtol=1e-3)
    assert lora.merge_with_report(params(), adapter())[1] == {}
    assert set(lora.merge_with_report(base, given)[1].values()) == {0.0}


def test_an_adapter_of_another_model_is_refused():
    with pytest.raises(ConfigError, match="have not"):
        lora.merge({"Dense_0": {"kernel": jnp.ones((2, 2))}}, adapter())
    other = params()
    other["layers"]["mlp"]["up"]["kernel"] = jnp.ones((3, 16, 25))
    with pytest.raises(
        ConfigError, match=r"layers/mlp/up/kernel: the kernel has shape \(3, 16, 25\)"
    ):
        lora.merge(other, adapter())
    other["layers"]["mlp"]["up"]["kernel"] = jnp.ones((4, 16, 24))
    with pytest.raises(ConfigError, match="layers/mlp/up/kernel"):
        lora.merge(other, adapter())


@pytest.mark.parametrize("dora", [False, True])
def test_it_may_be_traced(dora):
    base, given = params(), adapter(dora=dora)
    traced = jax.jit(lora.merge)(base, given)
    for one, other in zip(
        jax.tree.leaves(traced), jax.tree.leaves(lora.merge(base, given)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    inputs = batch()["inputs"]
    gradient = jax.grad(lambda a: logits(lora.merge(base, a), inputs).sum())(given)
    assert all(np.isfinite(leaf).all() and leaf.any() for leaf in jax.tree.leaves(gradient))


class Net(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(7, 6, rngs=rngs)
        self.conv = nnx.Conv(6, 5, (3,), rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            num_heads=2, in_features=5, qkv_features=6, decode=False, rngs=rngs
        )
        self.out = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, tokens):
        return self.out(self.attention(self.conv(self.embed(tokens))))


def test_modules_of_nnx():
    model = from_nnx(Net)
    given = {"inputs": jnp.arange(8).reshape(2, 4) % 7}
    base = model.init(jax.random.key(0), given)["params"]
    fresh = lora.init(jax.random.key(1), base, LoRAConfig(rank=2, targets=".*"))
    names = {name for target in fresh.targets for name in target.names}
    assert names == {
        "embed",
        "conv",
        "out",
        *(f"attention.{n}" for n in ("query", "key", "value", "out")),
    }

    def run(params):
        return model.apply({"params": params}, given, train=False)[0]

    assert same_bits(run(lora.merge(base, fresh)), run(base))
    merged = lora.merge(base, trained(fresh))
    module = next(m for m in trained(fresh).modules() if m.name == "attention.out")
    update = (module.scale * module.a @ module.b).reshape(2, 3, 5)
    np.testing.assert_allclose(
        merged["attention"]["out"]["kernel"],
        base["attention"]["out"]["kernel"] + update,
        rtol=1e-5,
        atol=1e-6,
    )
    assert np.abs(run(merged) - run(base)).max() > 0.01
