from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxtrain.errors import ConfigError
from jaxtrain.models.low_rank import LowRank, column_factor, column_norms, dense, tokens_of

TOKENS, INPUTS, OUTPUTS, RANK, MANY = 12, 10, 7, 3, 4


def draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(sum(shape) + 100 * seed), shape)


def low_rank(**changes):
    parts = {
        "kernel": draw(INPUTS, OUTPUTS),
        "a": draw(INPUTS, RANK),
        "b": draw(RANK, OUTPUTS),
        "scale": jnp.float32(1.5),
    }
    return LowRank(**(parts | changes))


def several(**changes):
    parts = {
        "a": draw(MANY, INPUTS, RANK),
        "b": draw(MANY, RANK, OUTPUTS),
        "scale": jnp.float32([2, 0, 1, 0.5]),
    }
    return low_rank(**(parts | {"rows": jnp.int32([3, 0, 1])} | changes))


def effective(kernel):
    return kernel.kernel + kernel.scale * (kernel.a @ kernel.b)


def test_a_plain_kernel_is_a_product_and_nothing_else():
    inputs, kernel = draw(TOKENS, INPUTS), draw(INPUTS, OUTPUTS)
    assert str(jax.make_jaxpr(dense)(inputs, kernel)) == str(
        jax.make_jaxpr(lambda x, w: x @ w)(inputs, kernel)
    )


def test_it_is_the_product_with_the_sum():
    inputs, kernel = draw(TOKENS, INPUTS), low_rank()
    np.testing.assert_allclose(dense(inputs, kernel), inputs @ effective(kernel), rtol=1e-4)


def test_a_zero_factor_changes_no_bit():
    inputs, kernel = draw(TOKENS, INPUTS), low_rank(b=jnp.zeros((RANK, OUTPUTS)))
    assert dense(inputs, kernel).tobytes() == (inputs @ kernel.kernel).tobytes()


def test_gradients_are_those_of_the_sum_and_none_of_the_kernel():
    inputs, kernel, weights = draw(TOKENS, INPUTS), low_rank(), draw(TOKENS, OUTPUTS)

    def value(a, b, inputs, plain):
        changed = low_rank(a=a, b=b)
        out = inputs @ effective(changed) if plain else dense(inputs, changed)
        return (jnp.sin(out) * weights).sum()

    expected = jax.grad(value, (0, 1, 2))(kernel.a, kernel.b, inputs, True)
    found = jax.grad(value, (0, 1, 2))(kernel.a, kernel.b, inputs, False)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    of_kernel = jax.grad(lambda k: dense(inputs, low_rank(kernel=k)).sum())(kernel.kernel)
    assert not of_kernel.any()


def shapes_of_products(jaxpr):
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found += [tuple(v.aval.shape) for v in equation.outvars]
        for inner in jaxprs_in_params(equation.params):
            found += shapes_of_products(inner)
    return found


@pytest.mark.parametrize("dora", [False, True])
def test_no_gradient_of_the_kernel_is_formed(dora):
    m = jnp.abs(draw(OUTPUTS)) if dora else None

    def value(trained, fixed, inputs):
        return dense(inputs, low_rank(kernel=fixed, **trained)).sum()

    trained = {"a": draw(INPUTS, RANK), "b": draw(RANK, OUTPUTS)} | (
        {"magnitude": m} if dora else {}
    )
    found = shapes_of_products(
        jax.make_jaxpr(jax.grad(value))(trained, draw(INPUTS, OUTPUTS), draw(TOKENS, INPUTS)).jaxpr
    )
    assert (TOKENS, OUTPUTS) in found
    assert {(INPUTS, OUTPUTS), (OUTPUTS, INPUTS)} & set(found) == set()
    # The check can fail: of a plain kernel the gradient is such a product.
    plain = jax.make_jaxpr(jax.grad(lambda w, x: jnp.sin(dense(x, w)).sum()))(
        draw(INPUTS, OUTPUTS), draw(TOKENS, INPUTS)
    )
    assert {(INPUTS, OUTPUTS), (OUTPUTS, INPUTS)} & set(shapes_of_products(plain.jaxpr))


def test_narrow_inputs_give_narrow_outputs():
    inputs = draw(TOKENS, INPUTS).astype(jnp.bfloat16)
    kernel = low_rank(kernel=draw(INPUTS, OUTPUTS).astype(jnp.bfloat16))
    found = dense(inputs, kernel)
    assert found.dtype == jnp.bfloat16
    expected = inputs.astype(jnp.float32) @ effective(kernel)
    np.testing.assert_allclose(found.astype(jnp.float32), expected, rtol=0.05, atol=0.3)


def test_a_loop_slices_it():
    inputs = draw(TOKENS, INPUTS)
    stack = LowRank(
        draw(2, INPUTS, OUTPUTS), draw(2, INPUTS, RANK), draw(2, RANK, OUTPUTS), jnp.float32([1, 3])
    )
    _, found = jax.lax.scan(lambda carry, kernel: (carry, dense(inputs, kernel)), 0, stack)
    for layer in range(2):
        own = jax.tree.map(lambda x: x[layer], stack)  # noqa: B023
        np.testing.assert_allclose(found[layer], dense(inputs, own), rtol=1e-5)


def test_a_kernel_of_three_axes_is_refused():
    with pytest.raises(ConfigError, match=r"\(10, 7, 1\)"):
        dense(draw(TOKENS, INPUTS), low_rank(kernel=draw(INPUTS, OUTPUTS)[..., None]))


# -- dropout ------------------------------------------------------------------------------------


def test_dropout_is_of_the_low_rank_branch_alone():
    inputs = draw(TOKENS, INPUTS)
    kernel = low_rank(key=jax.random.key(3), dropout=0.5)
    kept = jax.random.bernoulli(kernel.key, 0.5, inputs.shape)
    branch = jnp.where(kept, inputs / 0.5, 0) @ (1.5 * kernel.a @ kernel.b)
    np.testing.assert_allclose(
        dense(inputs, kernel), inputs @ kernel.kernel + branch, rtol=1e-4, atol=1e-4
    )
    without = dense(inputs, low_rank(dropout=0.5))
    np.testing.assert_array_equal(without, dense(inputs, low_rank()))


# -- DoRA ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (2,)])
def test_norms_of_columns_without_the_sum(lead):
    kernel, a, b = (
        draw(*lead, INPUTS, OUTPUTS),
        draw(*lead, INPUTS, RANK),
        draw(*lead, RANK, OUTPUTS),
    )
    scale = jnp.full(lead, 0.7)
    expected = np.linalg.norm(kernel + 0.7 * (a @ b), axis=-2)
    np.testing.assert_allclose(column_norms(kernel, a, b, scale), expected, rtol=1e-5)
    shaped = kernel.reshape(*lead, 5, 2, OUTPUTS)
    np.testing.assert_allclose(column_norms(shaped, a, b, scale), expected, rtol=1e-5)


def test_norms_of_several_adapters_on_one_kernel():
    kernel = several()
    found = column_norms(kernel.kernel, kernel.a, kernel.b, kernel.scale)
    for i in range(MANY):
        one = kernel.kernel + kernel.scale[i] * (kernel.a[i] @ kernel.b[i])
        np.testing.assert_allclose(found[i], np.linalg.norm(one, axis=0), rtol=1e-5)


def test_columns_get_their_magnitude():
    inputs, m = draw(TOKENS, INPUTS), jnp.abs(draw(OUTPUTS)) + 1
    kernel = low_rank(magnitude=m)
    merged = effective(kernel)
    merged = merged / jnp.linalg.norm(merged, axis=0) * m
    np.testing.assert_allclose(dense(inputs, kernel), inputs @ merged, rtol=1e-4, atol=1e-5)


def test_norms_are_held_fixed_in_the_gradient():
    inputs, m, weights = draw(TOKENS, INPUTS), jnp.abs(draw(OUTPUTS)) + 1, draw(TOKENS, OUTPUTS)
    kernel = low_rank(magnitude=m)
    fixed = jnp.linalg.norm(effective(kernel), axis=0)

    def expected(a, b, m):
        return (inputs @ (effective(low_rank(a=a, b=b)) * m / fixed) * weights).sum()

    def value(a, b, m):
        return (dense(inputs, low_rank(a=a, b=b, magnitude=m)) * weights).sum()

    given = kernel.a, kernel.b, m
    for one, other in zip(
        jax.grad(expected, (0, 1, 2))(*given), jax.grad(value, (0, 1, 2))(*given), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 48), (48, 32), (7, 5), (300, 100)])
def test_magnitudes_that_are_the_norms_change_no_bit(size):
    """XLA sums a norm in another order, and divides by another formula, in each program."""
    kernel, a = draw(*size), draw(size[0], RANK)
    b, scale = jnp.zeros((RANK, size[1])), jnp.float32(2)
    made = column_norms(kernel, a, b, scale)
    found = jax.jit(lambda m, w: column_factor(m, w, a, b, scale))(made, kernel)
    np.testing.assert_array_equal(found, 1)
    gradient = jax.jit(jax.grad(lambda m: column_factor(m, kernel, a, b, scale).sum()))(made)
    np.testing.assert_allclose(gradient, 1 / made, rtol=1e-5)
    moved = jax.jit(lambda m, w: column_factor(m, w, a, b, scale))(made * 1.0001, kernel)
    np.testing.assert_allclose(moved, 1.0001, rtol=2e-6)


def test_without_a_scale_there_is_no_magnitude():
    inputs = draw(TOKENS, INPUTS)
    kernel = low_rank(scale=jnp.float32(0), magnitude=jnp.zeros(OUTPUTS))
    assert dense(inputs, kernel).tobytes() == (inputs @ kernel.kernel).tobytes()
    gradient = jax.grad(lambda m: dense(inputs, low_rank(scale=jnp.float32(0), magnitude=m)).sum())(
        jnp.zeros(OUTPUTS)
    )
    assert not gradient.any()


# -- several adapters ---------------------------------------------------------------------------


@pytest.mark.parametrize("dora", [False, True])
def test_each_row_has_its_own(dora):
    """Three rows of four tokens."""
    m = jnp.abs(draw(MANY, OUTPUTS)) + 1 if dora else None
    inputs, kernel = draw(TOKENS, INPUTS), several(magnitude=m)
    found = dense(inputs, kernel)
    for row, number in enumerate([3, 0, 1]):
        alone = low_rank(
            a=kernel.a[number],
            b=kernel.b[number],
            scale=kernel.scale[number],
            magnitude=None if m is None else m[number],
        )
        tokens = slice(4 * row, 4 * row + 4)
        np.testing.assert_allclose(
            found[tokens], dense(inputs, alone)[tokens], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("dora", [False, True])
def test_a_row_may_have_none_and_what_is_unknown_is_nan(dora):
    m = jnp.abs(draw(MANY, OUTPUTS)) + 1 if dora else None
    inputs, kernel = draw(TOKENS, INPUTS), several(magnitude=m, rows=jnp.int32([-1, 4, -2]))
    found = dense(inputs, kernel)
    np.testing.assert_array_equal(found[:4], (inputs @ kernel.kernel)[:4])
    assert jnp.isnan(found[4:]).all()


def test_rows_must_divide_the_tokens():
    with pytest.raises(ConfigError, match="12 tokens"):
        tokens_of(jnp.zeros(5, jnp.int32), 12)
