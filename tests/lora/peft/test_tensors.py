"""What tensors are called and how they lie: there and back, and against a convolution by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.lora.peft.tensors import Layout, key_of, parse_key

SHAPES = {
    "dense": ((5, 7), 1, False),
    "two axes of inputs": ((2, 3, 7), 2, False),
    "two axes of outputs": ((5, 2, 3), 1, False),
    "convolution": ((3, 2, 5, 7), 3, True),
    "in one dimension": ((3, 5, 7), 2, True),
}


@pytest.mark.parametrize("case", SHAPES)
def test_there_and_back(case):
    shape, in_axes, convolution = SHAPES[case]
    layout = Layout.of(shape, in_axes, convolution=convolution)
    rng = np.random.default_rng(0)
    inputs, outputs = int(np.prod(shape[:in_axes])), int(np.prod(shape[in_axes:]))
    factors = {"a": (inputs, 4), "b": (4, outputs), "m": (outputs,)}
    for part, size in factors.items():
        factor = rng.normal(size=size).astype(np.float32)
        tensor = layout.to_tensor(part, factor)
        assert tensor.shape == layout.shape(part, 4)
        assert tensor.flags.c_contiguous
        np.testing.assert_array_equal(layout.from_tensor(part, tensor), factor)


def test_torch_has_the_outputs_first():
    layout = Layout.of((5, 7), 1, convolution=False)
    assert [layout.shape(part, 4) for part in "abm"] == [(4, 5), (7, 4), (7,)]
    a = np.arange(20.0).reshape(5, 4)
    np.testing.assert_array_equal(layout.to_tensor("a", a), a.T)


def test_the_window_of_a_convolution():
    layout = Layout.of((3, 2, 5, 7), 3, convolution=True)
    shapes = [layout.shape(part, 4) for part in "abm"]
    assert shapes == [(4, 5, 3, 2), (7, 4, 1, 1), (1, 7, 1, 1)]
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(4, 7))
    kernel = (a @ b).reshape(3, 2, 5, 7)
    theirs = np.einsum(
        "rihw,or->oihw", layout.to_tensor("a", a), layout.to_tensor("b", b)[..., 0, 0]
    )
    np.testing.assert_allclose(kernel.transpose(3, 2, 0, 1), theirs)


@pytest.mark.parametrize("embedding", [False, True])
@pytest.mark.parametrize("part", ["a", "b", "m"])
def test_names(part, embedding):
    key = key_of("net.0.up", part, embedding=embedding)
    assert key.startswith("base_model.model.net.0.up.lora_")
    assert parse_key(key) == ("net.0.up", part, None if part == "m" else embedding)


@pytest.mark.parametrize(
    "key",
    ["net.up.lora_A.weight", "base_model.model.net.up.weight", "base_model.model.up.lora_A",
     "base_model.model.up.lora_A.default.weight", "base_model.model.up.lora_B.bias", ""],
)  # fmt: skip
def test_names_that_are_none(key):
    assert parse_key(key) is None
