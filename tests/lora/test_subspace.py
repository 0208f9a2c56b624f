from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, directions, projected
from tests.lora.small import trained


def draw(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def known(values, seed=0):
    """A kernel [4, 5] of these singular values, and its directions."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (4, 5))
    return jnp.asarray(u * values @ v[:4], jnp.float32), u, v[:4]


CONFIG = LoRAConfig(rank=2)


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (0.3, 1), (0.5, 2), (0.74, 2), (0.99, 3)])
def test_a_share_of_the_directions_those_of_the_largest_values_first(share, count):
    kernel, u, v = known([3, 2, 1, 0.1])
    held = directions({"Dense_0": {"kernel": kernel}}, CONFIG, share)
    found_u, found_v = held.u["Dense_0/kernel"], held.v["Dense_0/kernel"]
    assert (found_u.shape, found_v.shape) == ((4, count), (count, 5))
    np.testing.assert_allclose(
        found_u @ found_u.T, u[:, :count] @ u[:, :count].T, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(found_v.T @ found_v, v[:count].T @ v[:count], rtol=1e-4, atol=1e-5)


def stack():
    kernels = [known([3, 2, 1, 0.1])[0], known([9, 1, 1, 1], 1)[0], known([1, 0.1, 0.1, 0.1], 2)[0]]
    return {"layers": {"up": {"kernel": jnp.stack(kernels)}}}


def test_each_layer_has_its_own_and_those_without_an_adapter_none():
    held = directions(stack(), LoRAConfig(rank=2, layers=(0, 2)), 0.5)
    u, v = held.u["layers/up/kernel"], held.v["layers/up/kernel"]
    assert (u.shape, v.shape) == ((3, 4, 2), (3, 2, 5))
    np.testing.assert_allclose(jnp.linalg.norm(u, axis=1), [[1, 1], [0, 0], [1, 1]], atol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(v, axis=2), [[1, 1], [0, 0], [1, 1]], atol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {"Dense_0": {"kernel": draw(20, 30)}},
        {"Conv_0": {"kernel": draw(3, 3, 4, 9)}},
        {"attn": {"out": {"kernel": draw(4, 5, 12)}}},
        {"Embed_0": {"embedding": draw(30, 8)}},
        {"layers": {"up": {"kernel": draw(3, 16, 24)}}},
    ],
)
def test_an_update_has_no_part_along_them(params):
    config = LoRAConfig(rank=3, targets=".*")
    adapter = trained(lora.init(jax.random.key(0), params, config), size=1)
    held = directions(params, config, 0.5)
    made = projected(adapter, held)
    for module in made.modules():
        path = module.target.path
        u, v = held.u[path], held.v[path]
        u, v = (u, v) if module.layer is None else (u[module.layer], v[module.layer])
        update = np.asarray(module.scale * module.a @ module.b)
        assert np.abs(update).max() > 0.1
        assert np.abs(u.T @ update).max() < 1e-5 * np.abs(update).max()
        assert np.abs(update @ v.T).max() < 1e-5 * np.abs(update).max()
    twice = projected(made, held)
    for one, other in zip(jax.tree.leaves(made), jax.tree.leaves(twice), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_has_no_part_along_them_stays():
    kernel, u, v = known([3, 2, 1, 0.1])
    params = {"Dense_0": {"kernel": kernel}}
    fresh = lora.init(jax.random.key(0), params, LoRAConfig(rank=1))
    factors = {"a": jnp.asarray(u[:, 3:], jnp.float32), "b": jnp.asarray(v[2:3], jnp.float32)}
    given = lora.Adapter({"Dense_0/kernel": factors}, fresh.config, fresh.targets)
    made = projected(given, directions(params, fresh.config, 0.7)).factors["Dense_0/kernel"]
    np.testing.assert_allclose(made["a"], factors["a"], atol=1e-5)
    np.testing.assert_allclose(made["b"], factors["b"], atol=1e-5)
    # Of a b along the second direction of the outputs, which is held, nothing is left.
    along = {"Dense_0/kernel": factors | {"b": jnp.asarray(v[1:2], jnp.float32)}}
    gone = projected(
        lora.Adapter(along, fresh.config, fresh.targets), directions(params, fresh.config, 0.7)
    )
    np.testing.assert_allclose(gone.factors["Dense_0/kernel"]["b"], 0, atol=1e-5)


def test_factors_keep_their_dtype():
    params = {"Dense_0": {"kernel": draw(6, 5).astype(jnp.bfloat16)}}
    adapter = lora.init(jax.random.key(0), params, CONFIG, dtype="bfloat16")
    held = directions(params, CONFIG, 0.4)
    assert {x.dtype.name for x in jax.tree.leaves(held)} == {"float32"}
    made = projected(adapter, held)
    assert {x.dtype.name for x in jax.tree.leaves(made)} == {"bfloat16"}


def test_they_lie_as_their_kernel_does():
    mesh = jax.make_mesh((1, 1), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    kernel = jax.device_put(draw(6, 5), NamedSharding(mesh, PartitionSpec("data", "model")))
    held = directions({"Dense_0": {"kernel": kernel}}, CONFIG, 0.4)
    assert held.u["Dense_0/kernel"].sharding.spec == PartitionSpec("data", None)
    assert held.v["Dense_0/kernel"].sharding.spec == PartitionSpec(None, "model")


def test_what_can_not_be_held():
    params = {"Dense_0": {"kernel": known([3, 2, 1, 0.1])[0]}}
    for share in (0, 1, -1, 2):
        with pytest.raises(ConfigError, match="a share above 0 and below 1"):
            directions(params, CONFIG, share)
    with pytest.raises(ConfigError, match=r"a share of 0\.5 of the 1 of one leaves"):
        directions({"one": {"kernel": jnp.ones((1, 5))}}, CONFIG, 0.5)
    with pytest.raises(ConfigError, match="Dense_0 is not finite"):
        directions({"Dense_0": {"kernel": jnp.full((4, 5), jnp.nan)}}, CONFIG, 0.5)
    assert not directions({"a": {"kernel": jnp.zeros((4, 5))}}, CONFIG, 0.5).u["a/kernel"].any()
    # Shapes follow from shapes: a checkpoint is read by them.
    shapes = jax.eval_shape(lambda p: directions(p, CONFIG, 0.5), params)
    assert shapes.u["Dense_0/kernel"].shape == (4, 2)
    other = lora.init(jax.random.key(0), {"Dense_1": {"kernel": draw(4, 5)}}, CONFIG)
    with pytest.raises(ConfigError, match="Dense_0/kernel, Dense_1/kernel: only on one side"):
        projected(other, directions(params, CONFIG, 0.5))
