from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig
from tests.lora.small import CONFIG, MODEL, UNEQUAL, batch, logits, params, same_bits


@pytest.mark.parametrize("options", [{}, {"dora": True}, {"init": "gaussian"}, UNEQUAL])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_fresh_adapter_changes_no_bit(options, dtype):
    base, inputs = params(dtype), batch()["inputs"]
    adapter = lora.init(jax.random.key(1), base, LoRAConfig(**options))
    before = logits(base, inputs)
    assert same_bits(logits(lora.merge(base, adapter), inputs), before)
    assert same_bits(logits(lora.apply(base, adapter), inputs), before)
    assert same_bits(lora.merge(base, adapter), base)


def test_how_factors_are_drawn():
    base = {
        "Dense_0": {"kernel": jnp.ones((400, 300))},
        "Embed_0": {"embedding": jnp.ones((50, 40))},
    }
    config = LoRAConfig(rank=16, targets=".*")
    dense, embed = lora.init(jax.random.key(0), base, config).factors.values()
    bound = 1 / np.sqrt(400)
    assert np.abs(dense["a"]).max() <= bound
    np.testing.assert_allclose(dense["a"].std(), bound / np.sqrt(3), rtol=0.02)
    assert not dense["b"].any()
    assert not embed["a"].any()
    np.testing.assert_allclose(embed["b"].std(), 1, rtol=0.1)
    gaussian = lora.init(
        jax.random.key(0), base, LoRAConfig(rank=16, targets=".*", init="gaussian")
    )
    np.testing.assert_allclose(gaussian.factors["Dense_0/kernel"]["a"].std(), 1 / 16, rtol=0.02)


def test_a_gaussian_is_as_wide_as_its_own_rank_says():
    base = {"layers": {"up": {"kernel": jnp.ones((2, 500, 30))}}}
    config = LoRAConfig(rank=16, rank_pattern={"1.up": 4}, init="gaussian")
    a = lora.init(jax.random.key(0), base, config).factors["layers/up/kernel"]["a"]
    np.testing.assert_allclose(a[0].std(), 1 / 16, rtol=0.05)
    np.testing.assert_allclose(a[1, :, :4].std(), 1 / 4, rtol=0.05)
    assert not a[1, :, 4:].any()


def test_an_embedding_has_its_own_rank_as_well():
    base = {"layers": {"embed": {"embedding": jnp.ones((2, 5, 4))}}}
    config = LoRAConfig(rank=3, rank_pattern={"1.embed": 1}, targets=".*")
    b = lora.init(jax.random.key(0), base, config).factors["layers/embed/embedding"]["b"]
    assert b[0].all()
    assert b[1, :1].all()
    assert not b[1, 1:].any()


def test_what_is_drawn_depends_on_key_and_path_alone():
    all_, few = (
        lora.init(jax.random.key(1), params(), LoRAConfig(targets=targets))
        for targets in ("all-linear", ("v",))
    )
    path = "layers/attention/v/kernel"
    assert same_bits(all_.factors[path], few.factors[path])
    other = lora.init(jax.random.key(2), params(), LoRAConfig(targets=("v",)))
    assert not same_bits(other.factors[path], few.factors[path])
    a, b = (all_.factors[f"layers/attention/{n}/kernel"]["a"] for n in "qv")
    assert not same_bits(a, b)


@pytest.mark.parametrize("dora", [False, True])
def test_shapes_are_enough(dora):
    config = LoRAConfig(dora=dora)
    made = lora.init(jax.random.key(0), params(), config)
    shapes = jax.eval_shape(lambda p: lora.init(jax.random.key(0), p, config), params())
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(lambda x: x.shape, shapes)
    traced = jax.jit(lambda p: lora.init(jax.random.key(0), p, config))(params())
    assert jax.tree.structure(traced) == jax.tree.structure(made)
    for one, other in zip(jax.tree.leaves(traced), jax.tree.leaves(made), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    given = jax.eval_shape(lambda: params())
    if dora:
        with pytest.raises(ConfigError, match="only the shape is there"):
            lora.init(jax.random.key(0), given, config)
    else:
        assert same_bits(lora.init(jax.random.key(0), given, config), made)


def test_dtype_of_the_factors():
    made = lora.init(jax.random.key(0), params("bfloat16"), LoRAConfig(dora=True))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(made)} == {"float32"}
    made = lora.init(jax.random.key(0), params(), LoRAConfig(dora=True), dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(made)} == {"bfloat16"}


def test_magnitudes_are_the_norms_of_columns_and_0_without_an_adapter():
    base = params()
    made = lora.init(jax.random.key(0), base, LoRAConfig(dora=True, **UNEQUAL))
    kernel = np.asarray(base["layers"]["mlp"]["up"]["kernel"])
    m = made.factors["layers/mlp/up/kernel"]["m"]
    np.testing.assert_allclose(m[::2], np.linalg.norm(kernel, axis=1)[::2], rtol=1e-5)
    assert not m[1].any()


# -- PiSSA --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dora", [False, True])
def test_pissa_takes_from_the_base_what_it_begins_with(dora):
    base, inputs = params(), batch()["inputs"]
    config = LoRAConfig(init="pissa", dora=dora, **UNEQUAL)
    rest, adapter = lora.init_pissa(jax.random.key(0), base, config)
    for path in ("apply", "merge"):
        found = logits(getattr(lora, path)(rest, adapter), inputs)
        np.testing.assert_allclose(found, logits(base, inputs), rtol=1e-3, atol=1e-3)
    assert rest["layers"]["mlp"]["up"]["kernel"].dtype == jnp.float32
    assert rest["embedding"]["embedding"] is base["embedding"]["embedding"]


def test_pissa_takes_the_largest_singular_values():
    base = params()
    config = LoRAConfig(init="pissa", **UNEQUAL)
    rest, adapter = lora.init_pissa(jax.random.key(0), base, config)
    for module in adapter.modules():
        part, name = module.name.split(".")[2:]
        kernel, left = (tree["layers"][part][name]["kernel"][module.layer] for tree in (base, rest))
        values = np.linalg.svd(kernel, compute_uv=False)
        of_rest = np.linalg.svd(left, compute_uv=False)
        np.testing.assert_allclose(
            of_rest[: len(values) - module.rank], values[module.rank :], rtol=1e-4
        )
        np.testing.assert_allclose(
            np.linalg.svd(module.scale * module.a @ module.b, compute_uv=False)[: module.rank],
            values[: module.rank],
            rtol=1e-4,
        )
        factors = adapter.factors[module.target.path]
        assert not factors["a"][module.layer, :, module.rank :].any()
        assert not factors["b"][module.layer, module.rank :].any()
        balance = np.linalg.norm(module.a, axis=0) / np.linalg.norm(module.b, axis=1)
        np.testing.assert_allclose(balance, 1, rtol=1e-4)
    np.testing.assert_array_equal(
        rest["layers"]["mlp"]["up"]["kernel"][1], base["layers"]["mlp"]["up"]["kernel"][1]
    )


def test_pissa_has_a_function_of_its_own():
    with pytest.raises(ConfigError, match="init_pissa"):
        lora.init(jax.random.key(0), params(), LoRAConfig(init="pissa"))
    with pytest.raises(ConfigError, match=r"lora\.init for that"):
        lora.init_pissa(jax.random.key(0), params(), LoRAConfig())
    with pytest.raises(ConfigError, match="has 8 singular values, found rank 9"):
        lora.init_pissa(
            jax.random.key(0), params(), LoRAConfig(init="pissa", rank=9, targets=("k",))
        )


# -- where it lies ------------------------------------------------------------------------------


def test_factors_lie_on_the_mesh_of_their_kernel():
    mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    kernel = jax.device_put(
        jnp.ones((3, 4, 6)), NamedSharding(mesh, PartitionSpec(None, "data", "model"))
    )
    out = jax.device_put(
        jnp.ones((2, 3, 4)), NamedSharding(mesh, PartitionSpec(None, None, "model"))
    )
    base = {"layers": {"up": {"kernel": kernel}}, "attn": {"out": {"kernel": out}}}
    made = lora.init(jax.random.key(0), base, LoRAConfig(dora=True, rank=2)).factors
    up, out = made["layers/up/kernel"], made["attn/out/kernel"]
    assert up["a"].sharding.spec == PartitionSpec(None, "data", None)
    assert up["b"].sharding.spec == PartitionSpec(None, None, "model")
    assert up["m"].sharding.spec == PartitionSpec(None, "model")
    assert out["a"].sharding.spec == PartitionSpec(None, None)
    assert out["b"].sharding.spec == PartitionSpec(None, "model")


def test_the_decoder_takes_one_for_all_its_linear_layers():
    made = lora.init(jax.random.key(0), params(), LoRAConfig())
    assert MODEL.low_rank({}, {}) == made.factors.keys()
    assert len(made.factors) == 7
    assert all(f["a"].shape[0] == CONFIG.layers for f in made.factors.values())
