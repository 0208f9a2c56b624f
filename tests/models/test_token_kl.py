from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxtrain.errors import DataError
from jaxtrain.models.token_kl import token_kl
from tests import compiling

TOKENS, WIDTH, VOCABULARY = 11, 4, 7


def draw(*shape, seed=0):
    made = np.random.default_rng(sum(shape) + 100 * seed).normal(size=shape)
    return jnp.asarray(made, jnp.float32)


def given(transposed=False):
    heads = [draw(WIDTH, VOCABULARY, seed=s) for s in (1, 2)]
    heads = [head.T for head in heads] if transposed else heads
    return draw(TOKENS, WIDTH, seed=3), heads[0], draw(TOKENS, WIDTH, seed=4), heads[1]


def plain(hidden, head, before, before_head):
    log_q, log_p = jax.nn.log_softmax(hidden @ head), jax.nn.log_softmax(before @ before_head)
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("tile", [1, 4, 100])
def test_it_is_the_sum_over_the_vocabulary(tile, transposed):
    found = token_kl(*given(transposed), transposed=transposed, tile=tile)
    np.testing.assert_allclose(found, plain(*given()), rtol=1e-5, atol=1e-6)
    assert found.dtype == jnp.float32


def test_two_classes_by_hand():
    """p = (1/2, 1/2), q = (4/5, 1/5): log(1/2) - (log(4/5) + log(1/5)) / 2."""
    one, four = jnp.ones((1, 1)), jnp.log(jnp.array([[4.0, 1.0]]))
    found = token_kl(one, four, one, jnp.zeros((1, 2)))
    np.testing.assert_allclose(found, [np.log(0.5) - np.log(0.16) / 2], rtol=1e-6)


def test_tokens_of_several_axes():
    hidden, head, before, before_head = given()
    shaped = [x[:10].reshape(2, 5, WIDTH) for x in (hidden, before)]
    found = token_kl(shaped[0], head, shaped[1], before_head)
    np.testing.assert_allclose(found.reshape(-1), plain(*given())[:10], rtol=1e-5)


@pytest.mark.parametrize("tile", [4, 100])
def test_gradients_reach_what_is_now_and_not_what_was(tile):
    weights = draw(TOKENS, seed=5)
    expected = jax.grad(lambda *x: (plain(*x) * weights).sum(), (0, 1))(*given())
    found = jax.grad(lambda *x: (token_kl(*x, tile=tile) * weights).sum(), (0, 1, 2, 3))(*given())
    for one, other in zip(expected, found, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert not found[2].any()
    assert not found[3].any()


def test_of_the_same_predictions_it_is_zero_and_so_is_its_gradient():
    hidden, head, *_ = given()
    value, gradient = jax.value_and_grad(lambda x: token_kl(x, head, hidden, head).sum())(hidden)
    assert value == 0
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def shapes(jaxpr):
    found = set()
    for equation in jaxpr.eqns:
        found |= {tuple(v.aval.shape) for v in equation.outvars}
        for inner in jaxprs_in_params(equation.params):
            found |= shapes(inner)
    return found


def test_no_more_than_a_tile_has_its_logits_in_memory():
    def made(tile):
        value = jax.grad(lambda x, *rest: token_kl(x, *rest, tile=tile).sum())
        return shapes(jax.make_jaxpr(value)(*given()).jaxpr)

    largest = [max(s[0] for s in made(tile) if s[1:] == (VOCABULARY,)) for tile in (4, 100)]
    assert largest == [4, TOKENS]
    assert not any(len(s) == 3 and s[-1] == VOCABULARY for s in made(4))


def test_narrow_states_have_float32_logits():
    narrow = [x.astype(jnp.bfloat16) for x in given()]
    found = token_kl(*narrow)
    assert found.dtype == jnp.float32
    wide = plain(*(x.astype(jnp.float32) for x in narrow))
    np.testing.assert_allclose(found, wide, rtol=1e-4, atol=1e-5)


def test_shapes_that_do_not_fit():
    hidden, head, before, before_head = given()
    with pytest.raises(DataError, match="two of each shape"):
        token_kl(hidden, head, before[:3], before_head)
    with pytest.raises(DataError, match="two of each shape"):
        token_kl(hidden, head, before, before_head.T)
    with pytest.raises(DataError, match=r"needs a head \[V, D\], found \(4, 7\)"):
        token_kl(hidden, head, before, before_head, transposed=True)


# -- eight devices -------------------------------------------------------------------------------

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxtrain.models.token_kl import token_kl

mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.{kind},) * 2)
put = lambda x, *spec: jax.device_put(x, NamedSharding(mesh, P(*spec)))
random = np.random.default_rng(0)
B, L, D, V = 8, 6, 5, 12
hidden, before = random.normal(size=(2, B, L, D)).astype(np.float32)
head = random.normal(size=(D, V)).astype(np.float32)

def total(hidden, before, head, tile):
    kl = token_kl(hidden, head, before, head, tile=tile)
    return kl.sum(), kl

step = jax.jit(jax.value_and_grad(total, has_aux=True), static_argnums=3)
(value, found), expected = step(hidden, before, head, 1000)
for over in ("model", None):
    for tile in (3, 5, 1000):
        with jax.set_mesh(mesh):
            given = put(hidden, "data"), put(before, "data"), put(head, None, over)
            (sum_, each), gradient = step(*given, tile)
        np.testing.assert_allclose(sum_, value, rtol=1e-5)
        np.testing.assert_allclose(each, found, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
print("equal")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Explicit", "Auto"])
def test_tokens_may_lie_over_a_mesh(kind):
    environment = {**os.environ, **compiling.devices(8)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(kind=kind)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr[-3000:]
