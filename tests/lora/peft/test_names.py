"""What modules are called here and there."""

from __future__ import annotations

import dataclasses

import jax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.lora.peft.names import naming_of, naming_of_adapter
from jaxtrain.models.decoder import initial_params
from jaxtrain.models.hf.names import leaves
from tests.lora import small
from tests.lora.peft import net


@pytest.mark.parametrize("tied", [False, True])
def test_a_decoder_is_known_by_its_tree(tied):
    config = dataclasses.replace(small.CONFIG, tied=tied)
    shapes = jax.eval_shape(lambda: initial_params(jax.random.key(0), config))
    found = naming_of(shapes)
    assert (found.decoder, found.tied, found.complete) == (True, tied, True)
    assert found.theirs["layers.2.mlp.down"] == "model.layers.2.mlp.down_proj"
    assert found.theirs["embedding"] == "model.embed_tokens"
    assert found.ours["model.layers.0.self_attn.o_proj"] == "layers.0.attention.o"
    assert found.nonlinear == {"model.embed_tokens", "lm_head"}
    every = {
        name.removesuffix(".weight")
        for leaf in leaves(config)
        if "norm" not in leaf.path
        for name in leaf.names(config)
    }
    assert set(found.ours) == every


def test_another_tree_is_not():
    params = {**small.params(), "more": {"scale": 1.0}}
    found = naming_of(params)
    assert not found.decoder
    assert found.theirs["layers.2.mlp.down"] == "layers.2.mlp.down"
    found = naming_of(net.params())
    assert found.theirs["Dense_0"] == "Dense_0"
    assert found.nonlinear == {"embed"}
    assert naming_of(small.params(), lambda name: name).decoder is False


def test_names_that_are_given():
    found = naming_of(net.params(), {"Dense_0": "fc"})
    assert (found.ours["fc"], found.ours["split"]) == ("Dense_0", "split")
    with pytest.raises(ConfigError, match=r"names: there is no module 'Dense_7'.*'Dense_0'"):
        naming_of(net.params(), {"Dense_7": "fc"})
    with pytest.raises(ConfigError, match=r"names: .* are both called 'x'"):
        naming_of(net.params(), {"Dense_0": "x", "split": "x"})
    with pytest.raises(ConfigError, match=r"names: expected a name for .*, found None"):
        naming_of(net.params(), lambda name: None)


def test_without_the_tree():
    whole, alone = naming_of(small.params()), naming_of_adapter(small.adapter())
    assert alone.decoder
    outside = {"embedding", "head"}
    assert alone.theirs == {k: v for k, v in whole.theirs.items() if k not in outside}
    other = naming_of_adapter(net.adapter(targets=("Dense_0",), in_axes={}))
    assert (other.decoder, other.complete) == (False, False)
    assert dict(other.theirs) == {"Dense_0": "Dense_0"}
