"""How many axes are inputs, where the file alone says it."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import DataError
from tests.lora.peft import net
from tests.lora.peft.files import change_tensors


def test_axes_are_those_that_the_factors_have(tmp_path):
    adapter = net.adapter(targets=("split", "joined", "query", "Conv_0"))
    path = lora.save_lora(tmp_path / "a", adapter, params=net.params())
    loaded = lora.load_lora(path, net.params())
    assert {t.path.split("/")[-2]: t.in_axes for t in loaded.targets} == {
        "split": 1, "joined": 2, "query": 1, "Conv_0": 3,
    }  # fmt: skip
    assert {key for key, _ in loaded.config.pairs("in_axes")} == {"^split", "^joined"}


def test_a_matrix_for_a_convolution_is_one(tmp_path):
    """A kernel that is called one, or has the axes of one, and was adapted as a matrix."""
    adapter = net.adapter(targets=("Conv_0",), in_axes={"Conv_0": 2})
    path = lora.save_lora(tmp_path / "a", adapter, params=net.params())
    loaded = lora.load_lora(path, net.params())
    assert loaded.targets[0].in_axes == 2
    np.testing.assert_array_equal(
        loaded.factors["Conv_0/kernel"]["a"], adapter.factors["Conv_0/kernel"]["a"]
    )


def test_no_axes_fit(tmp_path):
    path = lora.save_lora(tmp_path / "a", net.adapter(targets=("split",)), params=net.params())
    key = "base_model.model.split.lora_A.weight"
    change_tensors(path, lambda t: t.__setitem__(key, np.ones((2, 11), np.float32)))
    with pytest.raises(DataError, match=r"expected 5 or 10 inputs, of a kernel \[5, 2, 3\], found"):
        lora.load_lora(path, net.params())
