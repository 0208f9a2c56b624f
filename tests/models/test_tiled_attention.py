import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, jaxprs_in_params

from jaxtrain.models.tiled_attention import tile_size, tiled_attention


def draw(length, *, batch=2, heads=4, kv_heads=2, size=6, dtype="float32"):
    rng = np.random.default_rng(length)
    shapes = [(batch, length, n, size) for n in (heads, kv_heads, kv_heads, heads)]
    return [jnp.asarray(2 * rng.normal(size=shape), dtype) for shape in shapes]


def plain(q, k, v, segments):
    mask = None if segments is None else segments[:, None, :, None] == segments[:, None, None, :]
    return jax.nn.dot_product_attention(q, k, v, mask=mask, is_causal=True, implementation="xla")


def documents(length):
    return jnp.asarray(np.stack([np.arange(length) // 9 + 1, np.ones(length)]), jnp.int32)


# A tile that is not full, exactly one, one and one token, several of which the last is not full.
@pytest.mark.parametrize(
    ("length", "packed", "kv_heads"),
    [(1, False, 2), (40, True, 1), (64, False, 4), (65, True, 2), (200, True, 4), (200, False, 1)],
)
def test_values_and_gradients_are_those_of_the_plain_form(length, packed, kv_heads):
    *inputs, factor = draw(length, kv_heads=kv_heads)
    segments = documents(length) if packed else None

    def total(form, q, k, v):
        return jnp.sum(form(q, k, v, segments) * factor)

    def both(form):
        return jax.jit(jax.value_and_grad(lambda *x: total(form, *x), argnums=(0, 1, 2)))(*inputs)

    found, expected = both(tiled_attention), both(plain)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-3)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_large_scores_do_not_overflow():
    q, k, v, _ = draw(80)
    total = jax.value_and_grad(lambda q: jnp.sum(tiled_attention(1e3 * q, 1e3 * k, v)))
    found, grad = jax.jit(total)(q)
    assert np.isfinite(found)
    assert np.isfinite(grad).all()


def test_narrow_inputs_give_narrow_outputs_with_sums_in_float32():
    q, k, v, factor = draw(130, dtype=jnp.bfloat16)

    def total(form, *x):
        return jnp.sum((form(*x, None) * factor.astype(x[0].dtype)).astype(jnp.float32))

    grads = jax.jit(jax.grad(lambda *x: total(tiled_attention, *x), argnums=(0, 1, 2)))(q, k, v)
    wide = [x.astype(jnp.float32) for x in (q, k, v)]
    exact = jax.jit(jax.grad(lambda *x: total(plain, *x), argnums=(0, 1, 2)))(*wide)
    assert tiled_attention(q, k, v).dtype == jnp.bfloat16
    for found, expected in zip(grads, exact, strict=True):
        assert found.dtype == jnp.bfloat16
        error = np.linalg.norm(found.astype(jnp.float32) - expected) / np.linalg.norm(expected)
        assert error < 0.02


def test_a_tile_sees_only_its_keys_and_no_square_of_the_length_is_there():
    length = 512
    q, k, v, _ = draw(length)
    jaxpr = jax.make_jaxpr(jax.grad(lambda q: jnp.sum(tiled_attention(q, k, v))))(q)
    shapes = set(_shapes(jaxpr))
    assert not any(shape.count(length) > 1 for shape in shapes)
    last = {shape[1] for shape in shapes if len(shape) == 2 and shape[0] == 64}
    assert last == set(range(64, length + 1, 64))


def _shapes(jaxpr):
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    for equation in jaxpr.eqns:
        yield from (out.aval.shape for out in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from _shapes(inner)


def test_tiles_are_few_and_in_multiples_of_64():
    assert [tile_size(n) for n in (1, 64, 1024, 1025, 2048, 32_768)] == [64, 64, 64, 128, 128, 2048]
    assert all(-(-n // tile_size(n)) <= 16 for n in range(1, 5000, 7))


def test_it_maps_over_a_population():
    q, k, v, _ = draw(70)
    many = [jnp.stack([x, 2 * x]) for x in (q, k, v)]
    grad = jax.grad(lambda q, k, v: jnp.sum(tiled_attention(q, k, v, documents(70)) ** 2))
    grad, found = jax.jit(grad), jax.jit(jax.vmap(grad))(*many)
    for index in range(2):
        np.testing.assert_allclose(
            found[index], grad(*(x[index] for x in many)), rtol=1e-4, atol=1e-4
        )


def test_it_runs_under_strict_promotion():
    *inputs, _ = draw(130, dtype=jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        grad = jax.grad(lambda q, k, v: jnp.sum(tiled_attention(q, k, v, documents(130))))
        jax.eval_shape(grad, *inputs)
