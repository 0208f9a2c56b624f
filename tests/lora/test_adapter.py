from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, assemble, find_targets

CONFIG = LoRAConfig(
    rank=3, alpha=6, rank_pattern={"1.up": 2}, alpha_pattern={"0.up": 12}, exclude=("layers.2.up",)
)
PARAMS = {
    "layers": {"up": {"kernel": jnp.ones((3, 4, 5))}},
    "Dense_0": {"kernel": jnp.ones((4, 2))},
}


def modules(config=CONFIG):
    draw = iter(jax.random.split(jax.random.key(0), 20))
    made = {}
    for name, rank, outputs in [("layers.0.up", 3, 5), ("layers.1.up", 2, 5), ("Dense_0", 3, 2)]:
        made[name] = {
            "a": jax.random.normal(next(draw), (4, rank)),
            "b": jax.random.normal(next(draw), (rank, outputs)),
        }
        if config.dora:
            made[name]["m"] = jax.random.normal(next(draw), (outputs,))
    return made


def made(config=CONFIG, **changes):
    return assemble(config, find_targets(PARAMS, config), modules(config) | changes)


@pytest.mark.parametrize("dora", [False, True])
def test_modules_come_back_as_they_went_in(dora):
    config = LoRAConfig(**{**vars(CONFIG), "dora": dora})
    adapter = made(config)
    found = {module.name: module for module in adapter.modules()}
    assert found.keys() == modules(config).keys()
    for name, given in modules(config).items():
        for key, value in given.items():
            np.testing.assert_array_equal(getattr(found[name], key), value)
    assert (found["layers.1.up"].layer, found["layers.1.up"].rank) == (1, 2)
    assert found["Dense_0"].layer is None
    assert found["layers.0.up"].scale == 12 / 3
    assert found["layers.1.up"].scale == 6 / 2


def test_smaller_ranks_and_layers_without_an_adapter_are_zero():
    factors = made().factors["layers/up/kernel"]
    assert factors["a"].shape == (3, 4, 3)
    assert factors["b"].shape == (3, 3, 5)
    assert not factors["a"][1, :, 2:].any()
    assert not factors["b"][1, 2:].any()
    assert not factors["a"][2].any()
    assert not factors["b"][2].any()


def test_scales():
    adapter = made()
    by_path = {target.path: adapter.scales(target) for target in adapter.targets}
    np.testing.assert_array_equal(by_path["layers/up/kernel"], np.float32([4, 3, 0]))
    assert by_path["Dense_0/kernel"].shape == ()
    assert by_path["Dense_0/kernel"].dtype == np.float32


def test_only_factors_are_leaves():
    adapter = made()
    leaves, treedef = jax.tree.flatten(adapter)
    assert len(leaves) == 4
    again = jax.jit(lambda adapter: jax.tree.map(lambda x: 2 * x, adapter))(adapter)
    assert jax.tree.structure(again) == treedef
    assert again.targets == adapter.targets


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head": {}}, "head: not a target"),
        ({"Dense_0": {"a": jnp.ones((4, 3))}}, "Dense_0: expected a, b, found a"),
        ({"Dense_0": {"a": jnp.ones((4, 2)), "b": jnp.ones((3, 2))}}, r"a of shape \[I, 3\]"),
        ({"Dense_0": {"a": jnp.ones((4, 3)), "b": jnp.ones((2, 2))}}, r"b of shape \[3, O\]"),
    ],
)
def test_what_does_not_fit_is_listed(changes, said):
    with pytest.raises(ConfigError, match=said):
        made(**changes)


def test_a_magnitude_for_each_output():
    config = LoRAConfig(**{**vars(CONFIG), "dora": True})
    wrong = modules(config)["Dense_0"] | {"m": jnp.ones(3)}
    with pytest.raises(ConfigError, match=r"Dense_0: expected m of shape \(2,\), found \(3,\)"):
        made(config, Dense_0=wrong)


def test_what_is_missing_is_listed():
    given = modules()
    del given["layers.1.up"]
    with pytest.raises(ConfigError, match=r"layers\.1\.up: missing"):
        assemble(CONFIG, find_targets(PARAMS, CONFIG), given)
