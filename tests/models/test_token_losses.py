"""Losses of tokens, tile by tile, against the plain form that has all logits at once."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from jaxtrain.errors import DataError
from jaxtrain.models.token_losses import Tiles, token_losses
from tests import compiling

T, D, V = 24, 5, 11


def plain(hidden, head, labels):
    """What it must be, with all logits [T, V]."""
    logits = jnp.matmul(hidden, head, preferred_element_type=hidden.dtype)
    log_z = jax.nn.logsumexp(logits, axis=-1)
    picked = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return log_z - picked, log_z, jnp.argmax(logits, axis=-1) == labels


def arrays(tokens=T, dtype=np.float32, seed=0):
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(tokens, D)).astype(dtype)
    head = random.normal(size=(D, V)).astype(dtype)
    return hidden, head, random.integers(0, V, tokens).astype(np.int32)


def weighed(losses, hidden, head, labels):
    """A scalar of nll and log_z in which each token counts otherwise, some not at all."""
    nll, log_z, _ = losses(hidden, head, labels)
    weights = jnp.arange(nll.size, dtype=nll.dtype).reshape(nll.shape) % 4 / 2
    return jnp.sum(weights * (nll + 0.3 * jnp.square(log_z)) + (weights == 0) * log_z)


gradients = jax.grad(weighed, argnums=(1, 2))


@pytest.mark.parametrize(
    ("tokens", "tile"), [(1, 6), (7, 1), (23, 6), (24, 6), (24, 10), (24, 100)]
)
@pytest.mark.parametrize("transposed", [False, True])
def test_it_is_the_plain_form_to_the_last_digits(tokens, tile, transposed):
    with jax.enable_x64(True):
        hidden, head, labels = arrays(tokens, np.float64)
        losses = functools.partial(token_losses, tile=tile, transposed=transposed)
        turned = head.T if transposed else head
        each = jax.jit(losses)(hidden, turned, labels)
        for found, expected in zip(each, plain(hidden, head, labels), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)
        found = jax.jit(functools.partial(gradients, losses))(hidden, turned, labels)
        expected = gradients(plain, hidden, head, labels)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-11, atol=1e-13)
        of_head = found[1].T if transposed else found[1]
        np.testing.assert_allclose(of_head, expected[1], rtol=1e-11, atol=1e-13)


def test_float32_is_as_exact_as_the_plain_form():
    hidden, head, labels = arrays()
    with jax.enable_x64(True):
        exact = gradients(plain, hidden.astype(float), head.astype(float), labels)
    found = gradients(functools.partial(token_losses, tile=7), hidden, head, labels)
    for one, best in zip(found, exact, strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, best, rtol=2e-5, atol=2e-6)


def test_leading_axes_stay():
    hidden, head, labels = arrays()
    shaped = token_losses(hidden.reshape(2, 12, D), head, labels.reshape(2, 12), tile=5)
    flat = token_losses(hidden, head, labels, tile=5)
    for one, other in zip(shaped, flat, strict=True):
        assert one.shape == (2, 12)
        np.testing.assert_array_equal(one.reshape(-1), other)


# -- memory --------------------------------------------------------------------------------------


def equations(jaxpr):
    """All equations, also those of what stands inside another."""
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    for equation in jaxpr.eqns:
        yield equation
        for parameter in jax.tree.leaves(
            equation.params, is_leaf=lambda x: isinstance(x, core.ClosedJaxpr | core.Jaxpr)
        ):
            if isinstance(parameter, core.ClosedJaxpr | core.Jaxpr):
                yield from equations(parameter)


def shapes(function, *arguments):
    jaxpr = jax.make_jaxpr(function)(*arguments)
    return {
        tuple(variable.aval.shape) for equation in equations(jaxpr) for variable in equation.outvars
    }


@pytest.mark.parametrize("tokens", [23, 24])
def test_no_array_is_larger_than_the_logits_of_a_tile(tokens):
    hidden, head, labels = arrays(tokens)
    tiled = shapes(functools.partial(gradients, functools.partial(token_losses, tile=6)), hidden,
                   head, labels)  # fmt: skip
    assert (6, V) in tiled
    assert max(np.prod(shape) for shape in tiled if V in shape and shape[-1] != D) <= 6 * V
    assert (tokens, V) in shapes(functools.partial(gradients, plain), hidden, head, labels)


def test_a_checkpoint_that_keeps_products_keeps_no_logits():
    hidden, head, labels = arrays()
    losses = functools.partial(weighed, functools.partial(token_losses, tile=6), labels=labels)
    kept = jax.checkpoint(losses, policy=jax.checkpoint_policies.dots_saveable)
    found = shapes(jax.grad(kept, argnums=(0, 1)), hidden, head)
    assert max(np.prod(shape) for shape in found if V in shape) <= 6 * V


@pytest.mark.parametrize("transposed", [False, True])
def test_the_compiled_program_keeps_one_tile(transposed):
    """And neither a transposed head, nor a second sum of its gradient."""
    tokens, width, words, tile = 512, 8, 4096, 64
    head = jax.ShapeDtypeStruct((words, width) if transposed else (width, words), jnp.float32)
    hidden = jax.ShapeDtypeStruct((tokens, width), jnp.float32)
    labels = jax.ShapeDtypeStruct((tokens,), jnp.int32)
    losses = functools.partial(token_losses, tile=tile, transposed=transposed)
    step = jax.jit(functools.partial(gradients, losses))
    needed = step.lower(hidden, head, labels).compile().memory_analysis().temp_size_in_bytes
    assert needed < 4 * (1.5 * tile * words + 2 * width * words)


def test_tiles_of_one_size_where_that_is_possible():
    labels = np.zeros(24, np.int32)
    assert Tiles.of(labels, 24) == Tiles.of(labels, 1000) == (1, 24, 0)
    assert Tiles.of(labels, 12) == (2, 12, 0)
    assert Tiles.of(labels, 11) == (3, 8, 0)
    assert Tiles.of(labels, 5) == (6, 4, 0)
    assert Tiles.of(np.zeros(23, np.int32), 6) == (3, 6, 5)
    assert Tiles.of(np.zeros(8191, np.int32), 1024) == (7, 1024, 1023)
    assert Tiles.of(np.zeros(0, np.int32), 4) == (1, 0, 0)


# -- labels and what does not count --------------------------------------------------------------


@pytest.mark.parametrize("label", [-1, -100, V, 2**31 - 1])
def test_a_label_that_is_no_token_is_nan_and_trains_nothing(label):
    hidden, head, labels = arrays()
    labels[5] = label
    losses = functools.partial(token_losses, tile=6)
    nll, log_z, correct = losses(hidden, head, labels)
    assert np.isnan(nll).tolist() == [place == 5 for place in range(T)]
    assert np.isfinite(log_z).all()
    assert float(correct[5]) == 0
    of_hidden = jax.grad(lambda h: losses(h, head, labels).nll.sum())(hidden)
    assert not np.asarray(of_hidden[5]).any()
    assert np.asarray(of_hidden).any(axis=1).sum() == T - 1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int32"])
def test_labels_of_any_integer_dtype(dtype):
    hidden, _, labels = arrays()
    head = np.random.default_rng(1).normal(size=(D, 300)).astype(np.float32)
    found = token_losses(hidden, head, labels.astype(dtype), tile=5)
    for one, other in zip(found, plain(hidden, head, labels), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("bad", [1e30, np.inf, np.nan])
def test_what_does_not_count_gives_no_gradient(bad):
    """Exactly none, whatever stands there."""
    hidden, head, labels = arrays()
    counts = (np.arange(T) % 3 > 0).astype(np.float32)
    spoilt, wrong = hidden.copy(), labels.copy()
    spoilt[counts == 0] = bad
    wrong[counts == 0] = -100

    def loss(hidden, head, labels):
        nll, log_z, _ = token_losses(hidden, head, labels, tile=7)
        nll, log_z = (jnp.where(counts > 0, x, 0) for x in (nll, log_z))
        return jnp.sum(counts * (nll + 0.1 * log_z**2))

    value, found = jax.value_and_grad(loss, argnums=(0, 1))(spoilt, head, wrong)
    good, expected = jax.value_and_grad(loss, argnums=(0, 1))(hidden, head, labels)
    assert float(value) == float(good)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.asarray(found[0])[counts == 0].any()


def test_nan_in_a_token_that_counts_is_not_hidden():
    hidden, head, labels = arrays()
    hidden[3, 0] = np.nan
    labels[3] = 0  # which an argmax of NaN alone gives
    nll, _, correct = token_losses(hidden, head, labels, tile=7)
    assert np.isnan(nll[3])
    assert float(correct[3]) == 0
    of_hidden, of_head = gradients(functools.partial(token_losses, tile=7), hidden, head, labels)
    assert np.isnan(of_hidden[3]).all()
    assert np.isnan(of_head).any()


def test_of_equal_logits_the_first_is_the_likeliest():
    hidden, head, labels = np.zeros((3, D), np.float32), arrays()[1], np.array([0, 1, V - 1])
    assert token_losses(hidden, head, labels).correct.tolist() == [1, 0, 0]


def test_large_logits_do_not_overflow():
    hidden, head, labels = arrays()
    nll, log_z, _ = token_losses(hidden * 1e4, head, labels, tile=7)
    assert np.isfinite(nll).all()
    assert np.isfinite(log_z).all()


# -- dtypes and transformations ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_floats_are_summed_in_float32(dtype):
    hidden, head, labels = (jnp.asarray(x) for x in arrays())
    hidden, head = hidden.astype(dtype), head.astype(dtype)
    losses = functools.partial(token_losses, tile=5)
    found = losses(hidden, head, labels)
    wide = hidden.astype(jnp.float32), head.astype(jnp.float32)
    for one, other in zip(found, plain(*wide, labels), strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    for one, other in zip(
        gradients(losses, hidden, head, labels), gradients(plain, *wide, labels), strict=True
    ):
        assert one.dtype == dtype
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(one.astype(np.float32), other, atol=0.01 * scale)


def test_the_gradient_of_a_narrow_head_is_summed_wide():
    """256 + 1 is 256 in bfloat16: a sum in that would stay there."""
    hidden = jnp.ones((512, 1), jnp.bfloat16)
    head = jnp.zeros((1, 2), jnp.bfloat16)
    losses = functools.partial(token_losses, labels=jnp.zeros(512, jnp.int32), tile=1)
    of_head = jax.grad(lambda h: losses(hidden, h).nll.sum())(head)
    assert of_head.astype(jnp.float32).tolist() == [[-256.0, 256.0]]
    products = [
        equation.outvars[0].aval.dtype
        for equation in equations(
            jax.make_jaxpr(jax.grad(lambda h: losses(hidden, h).nll.sum()))(head)
        )
        if equation.primitive.name == "dot_general"
    ]
    assert set(products) == {jnp.dtype("float32")}


def test_a_wide_head_keeps_its_digits_under_narrow_hidden_states():
    hidden, head, labels = arrays()
    narrow = jnp.asarray(hidden, jnp.bfloat16)
    found = token_losses(narrow, head, labels)
    expected = plain(narrow.astype(jnp.float32), head, labels)
    np.testing.assert_allclose(found.nll, expected[0], rtol=1e-6, atol=1e-6)
    of_hidden, of_head = gradients(token_losses, narrow, head, labels)
    assert (of_hidden.dtype, of_head.dtype) == (jnp.bfloat16, jnp.float32)


@pytest.mark.parametrize("tile", [7, 100])
def test_it_maps_over_a_population(tile):
    losses = functools.partial(token_losses, tile=tile)
    members = [arrays(seed=seed) for seed in range(3)]
    stacked = [np.stack(x) for x in zip(*members, strict=True)]
    found = jax.vmap(functools.partial(gradients, losses))(*stacked)
    shared = jax.vmap(functools.partial(gradients, losses), in_axes=(0, None, 0))(
        stacked[0], members[0][1], stacked[2]
    )
    for i, (hidden, head, labels) in enumerate(members):
        for one, other in zip(found, gradients(plain, hidden, head, labels), strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-4, atol=1e-5)
        expected = gradients(plain, hidden, members[0][1], labels)
        for one, other in zip(shared, expected, strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("around", [jax.jit, jax.checkpoint, lambda f: lambda *x: scanned(f, *x)])
def test_it_works_inside_what_steps_are_made_of(around):
    hidden, head, labels = arrays()
    losses = functools.partial(token_losses, tile=7)
    found = jax.grad(around(functools.partial(weighed, losses)), argnums=(0, 1))
    expected = gradients(plain, hidden, head, labels)
    for one, other in zip(found(hidden, head, labels), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def scanned(function, *arguments):
    return jax.lax.scan(lambda total, _: (total + function(*arguments), None), 0.0, None, length=1)[
        0
    ]


def test_a_gradient_can_be_differentiated():
    hidden, head, labels = arrays()
    losses = functools.partial(token_losses, tile=7)

    def steepness(losses, head):
        return jnp.sum(jnp.square(gradients(losses, hidden, head, labels)[0]))

    found, expected = (jax.grad(functools.partial(steepness, f))(head) for f in (losses, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


# -- what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden", "head", "labels", "options"),
    [
        ((4, 5), (6, 11), (4,), {}),
        ((4, 5), (5, 11), (4,), {"transposed": True}),
        ((4, 5), (11, 5), (4,), {}),
        ((4, 5), (5, 11), (3,), {}),
        ((4, 5), (5, 11), (4, 1), {}),
        ((4, 5), (5,), (4,), {}),
    ],
)
def test_shapes_that_do_not_fit_are_named(hidden, head, labels, options):
    with pytest.raises(DataError, match="token_losses: expected hidden") as error:
        token_losses(jnp.ones(hidden), jnp.ones(head), np.zeros(labels, np.int32), **options)
    assert str(hidden) in str(error.value)
    assert str(head) in str(error.value)
    assert f"labels {labels}" in str(error.value)


def test_other_misfits():
    hidden, head, labels = arrays()
    with pytest.raises(DataError, match="expected integer labels, found float32"):
        token_losses(hidden, head, labels.astype(np.float32))
    with pytest.raises(DataError, match="tile: expected at least 1, found 0"):
        token_losses(hidden, head, labels, tile=0)


# -- eight devices -------------------------------------------------------------------------------

PROGRAM = """
import functools, re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from jaxtrain.models.token_losses import token_losses

# By type a tile is of each device's tokens; on Auto axes nobody knows how many have a part.
TILES = (3, 5, 1000) if "{kind}" == "Explicit" else (12, 24, 1000)
mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.{kind},) * 2)
put = lambda x, *spec: jax.device_put(x, NamedSharding(mesh, P(*spec)))
random = np.random.default_rng(0)
B, L, D, V = 8, 6, 5, 12
hidden = random.normal(size=(B, L, D)).astype(np.float32)
head = random.normal(size=(D, V)).astype(np.float32)
labels = random.integers(0, V, (B, L)).astype(np.int32)
labels[3, 1] = -100
mask = (np.arange(B * L).reshape(B, L) % 5 > 0).astype(np.float32)
mask[3, 1] = 0

def loss(hidden, head, labels, mask, transposed, tile):
    found = token_losses(hidden, head, labels, transposed=transposed, tile=tile)
    each = jnp.where(mask > 0, found.nll + 0.1 * found.log_z ** 2, 0)
    return jnp.sum(each), found

step = jax.jit(
    jax.value_and_grad(loss, argnums=(0, 1), has_aux=True), static_argnums=(4, 5)
)
for transposed in (False, True):
    turned = head.T if transposed else head
    (value, found), expected = step(hidden, turned, labels, mask, transposed, 1000)
    for over in ("model", None):  # the last has the whole head on each device
        layout = (over, None) if transposed else (None, over)
        for tile in TILES:
            with jax.set_mesh(mesh):
                given = (put(hidden, "data"), put(turned, *layout), put(labels, "data"),
                         put(mask, "data"), transposed, tile)
                (total, each), grads = step(*given)
            np.testing.assert_allclose(total, value, rtol=1e-5)
            for one, other in zip(each, found):
                np.testing.assert_allclose(one, other, rtol=1e-5)
                assert one.sharding.is_equivalent_to(given[2].sharding, 2), one.sharding
            for one, other, like in zip(grads, expected, given):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
                if "{kind}" == "Explicit":
                    assert one.sharding.is_equivalent_to(like.sharding, one.ndim), one.sharding
    text = step.lower(*given[:-1], TILES[0]).compile().as_text()
    moved = re.findall(r" (?:all-gather|all-to-all|collective-permute)[^(]*\\(", text)
    assert not moved, moved
    if "{kind}" == "Explicit":  # the devices' sums of the head's gradient meet once, after the loop
        inside, outside = text.split("ENTRY")
        assert "all-reduce(" in outside
        assert "all-reduce(" not in inside
print("equal")
"""


@pytest.mark.parametrize("kind", ["Explicit", "Auto"])
def test_tokens_that_lie_over_a_mesh_stay_there(kind):
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
