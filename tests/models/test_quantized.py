from __future__ import annotations

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxtrain.errors import ConfigError
from jaxtrain.models.low_rank import LowRank, column_norms, dense
from jaxtrain.models.quantized import Quantized, block_of, is_quantized, plain, quantized, times

BITS = ("int8", "int4", "nf4")
INPUTS, OUTPUTS = 128, 6
# Appendix E of arXiv:2305.14314.
NEGATIVE = (-1, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105003, 0)
POSITIVE = (0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1)
NF4 = np.float32([*NEGATIVE, *POSITIVE])


def draw(*shape, seed=0, dtype="float32"):
    return jax.random.normal(jax.random.key(seed), shape).astype(dtype)


def blocks_of(kernel):
    """Blocks of 64 inputs, and the largest magnitude of each."""
    blocks = np.asarray(kernel, np.float32).reshape(-1, 64, kernel.shape[-1])
    return blocks, np.abs(blocks).max(axis=1, keepdims=True)


UNEVEN = draw(INPUTS, OUTPUTS) * jnp.where(jnp.arange(INPUTS)[:, None] < 64, 1, 100)


@pytest.mark.parametrize(("bits", "steps"), [("int8", 127), ("int4", 7)])
def test_integers_are_within_half_a_step_of_each_block(bits, steps):
    small = quantized(UNEVEN, bits, axis=0)
    (blocks, largest), (back, _) = blocks_of(UNEVEN), blocks_of(plain(small))
    assert (np.abs(back - blocks) <= largest / (2 * steps) * 1.001).all()
    assert len(np.unique(np.asarray(small.values, np.int32))) > steps


def test_nf4_are_the_nearest_of_its_values():
    (blocks, largest), (back, _) = (
        blocks_of(UNEVEN),
        blocks_of(plain(quantized(UNEVEN, "nf4", axis=0))),
    )
    nearest = np.abs((blocks / largest)[..., None] - NF4).argmin(-1)
    np.testing.assert_allclose(back, NF4[nearest] * largest, rtol=1e-5, atol=1e-6)


def test_it_has_the_shape_of_the_kernel():
    small = quantized(UNEVEN, "nf4", axis=0)
    assert (small.shape, small.ndim, small.size) == (UNEVEN.shape, 2, UNEVEN.size)
    assert small.scale.shape == (2, OUTPUTS)


@pytest.mark.parametrize("bits", BITS)
def test_it_is_as_small_as_it_says(bits):
    small = quantized(draw(INPUTS, OUTPUTS), bits, axis=0)
    compiled = jax.jit(plain).lower(small).compile()
    width = {"int8": 1, "int4": 0.5, "nf4": 0.5}[bits]
    assert compiled.memory_analysis().argument_size_in_bytes == (
        width * INPUTS * OUTPUTS + 4 * 2 * OUTPUTS
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_its_dtype_is_that_of_the_kernel(dtype):
    small = quantized(draw(INPUTS, OUTPUTS, dtype=dtype), "nf4", axis=0)
    assert small.dtype == plain(small).dtype == jnp.dtype(dtype)


def test_any_axis_can_be_the_inputs():
    kernel = draw(3, 32, 64, OUTPUTS)
    assert quantized(kernel, "int8", axis=2).scale.shape == (3, 32, 1, OUTPUTS)
    assert quantized(kernel, "int8", axis=-3).scale.shape == (3, 1, 64, OUTPUTS)


@pytest.mark.parametrize(
    ("inputs", "block"), [(64, 64), (128, 64), (96, 48), (62, 62), (97, 97), (134, 134), (5, 5)]
)
def test_blocks_divide_the_inputs(inputs, block):
    """134 is twice a prime: blocks of 2 would take more for scales than for values."""
    assert block_of(inputs) == block
    assert quantized(draw(inputs, 2), "int4", axis=0).scale.shape == (inputs // block, 2)


def test_zeros_stay_zeros():
    for bits in BITS:
        np.testing.assert_array_equal(plain(quantized(jnp.zeros((64, 2)), bits, axis=0)), 0)


def test_a_walk_takes_it_for_a_leaf():
    tree = {"kernel": quantized(draw(64, 2), "nf4", axis=0), "bias": jnp.zeros(2)}
    leaves = jax.tree.leaves(tree, is_leaf=is_quantized)
    assert [type(leaf) is Quantized for leaf in leaves] == [False, True]
    assert plain(tree["bias"]) is tree["bias"]


@pytest.mark.parametrize("bits", BITS)
def test_a_product_and_its_gradient_are_those_with_the_floats(bits):
    inputs, weights = draw(5, INPUTS, seed=1), draw(5, OUTPUTS, seed=2)
    small = quantized(draw(INPUTS, OUTPUTS), bits, axis=0)

    def total(product, inputs, kernel):
        return jnp.sum(product(inputs, kernel) * weights)

    one = jax.value_and_grad(lambda x: total(times, x, small))(inputs)
    other = jax.value_and_grad(lambda x: total(jnp.matmul, x, plain(small)))(inputs)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_loop_keeps_no_floats_of_its_kernels():
    """What is kept for the backward pass is what goes from one loop to the other."""
    stack = quantized(draw(3, 64, 64), "nf4", axis=1)

    def total(inputs):
        carry, _ = jax.lax.scan(lambda x, kernel: (times(x, kernel), None), inputs, stack)
        return jnp.sum(carry)

    jaxpr = jax.make_jaxpr(jax.grad(total))(draw(2, 64)).jaxpr
    scans = [each for each in jaxpr.eqns if each.primitive.name == "scan"]
    assert len(scans) == 2
    passed = [str(out.aval) for scan in scans for out in scan.outvars]
    assert "float32[3,64,64]" not in passed, passed


def test_an_adapter_beside_it_is_beside_the_floats():
    small = quantized(draw(INPUTS, OUTPUTS), "int4", axis=0)
    parts = {"a": draw(INPUTS, 2), "b": draw(2, OUTPUTS), "scale": jnp.float32(2)}
    inputs, magnitude = draw(5, INPUTS, seed=1), jnp.linspace(1, 2, OUTPUTS)
    for more in ({}, {"magnitude": magnitude}):
        one = dense(inputs, LowRank(kernel=small, **parts, **more))
        other = dense(inputs, LowRank(kernel=plain(small), **parts, **more))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    norms = (column_norms(k, parts["a"], parts["b"], parts["scale"]) for k in (small, plain(small)))
    np.testing.assert_allclose(*norms, rtol=1e-6)


def test_without_an_adapter_it_is_a_kernel_too():
    small = quantized(draw(INPUTS, OUTPUTS), "int8", axis=0)
    np.testing.assert_allclose(
        dense(jnp.ones((1, INPUTS)), small)[0], plain(small).sum(0), rtol=1e-4
    )


def test_what_is_missing_is_named(monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **more):
        if name == "qwix":
            raise ImportError("No module named 'qwix'")
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"needs qwix .*install jaxtrain\[quant\]"):
        quantized(draw(64, 2), "nf4", axis=0)


def test_products_are_of_one_layer_at_a_time():
    """In the loop no array of all layers' floats is made."""
    stack = quantized(draw(3, 64, 64), "nf4", axis=1)

    def run(inputs):
        return jax.lax.scan(lambda x, kernel: (times(x, kernel), None), inputs, stack)[0]

    def avals(jaxpr):
        for eqn in jaxpr.eqns:
            yield from (str(out.aval) for out in eqn.outvars)
            for inner in jaxprs_in_params(eqn.params):
                yield from avals(inner)

    found = set(avals(jax.make_jaxpr(run)(draw(2, 64)).jaxpr))
    assert "float32[64,64]" in found
    assert "float32[3,64,64]" not in found
