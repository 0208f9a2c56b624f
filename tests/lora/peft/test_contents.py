"""Which tensors are factors; what is refused is in test_loading."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.lora.peft.config import read_config
from jaxtrain.lora.peft.contents import found_in, listed
from jaxtrain.lora.peft.names import naming_of
from jaxtrain.lora.targets import find_kernels
from jaxtrain.models.hf.weights import Weights
from tests.lora import small
from tests.lora.peft.files import KEY, TENSORS, change_tensors, written


def found(path):
    params = small.params()
    weights = Weights(path, single=TENSORS)
    return found_in(weights, naming_of(params), read_config(path), params, find_kernels(params))


def test_each_factor_by_module(tmp_path):
    made = found(written(tmp_path, dora=True))
    assert len(made) == 6
    module = "model.layers.1.self_attn.v_proj"
    assert made[module] == {
        "a": KEY.format(1, "v", "A"),
        "b": KEY.format(1, "v", "B"),
        "m": f"base_model.model.{module}.lora_magnitude_vector",
    }


@pytest.mark.parametrize("layer", [0, 2])
def test_a_kernel_of_a_layer_may_be_there_as_it_is(tmp_path, layer):
    key = f"base_model.model.model.layers.{layer}.mlp.down_proj.weight"
    kernels = np.asarray(small.params()["layers"]["mlp"]["down"]["kernel"])
    path = written(tmp_path)
    change_tensors(path, lambda t: t.__setitem__(key, kernels[layer].T.copy()))
    assert len(found(path)) == 6
    change_tensors(path, lambda t: t.__setitem__(key, kernels[1].T.copy()))
    with pytest.raises(DataError, match=r"down_proj.weight': is not the weight that params have"):
        found(path)


def test_names_in_a_message():
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(list("abcdefg")) == "'a', 'b', 'c', 'd', 'e' and 2 more"
