"""Norms in float32, whatever they are of, and clipping by them."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import sgd
from jaxtrain.step import clip_factor, cross_entropy, global_norm, make_train_step

FULL = sgd(1.0)


def test_a_large_gradient_is_scaled_down_to_the_norm(prepare, linear, make_batch):
    batch = make_batch()
    state, free = prepare(linear, FULL)
    _, clipped = prepare(linear, FULL, clip_norm=1e-2)
    (far, far_out), (near, near_out) = free(state, batch), clipped(state, batch)
    long = far.params["w"] - state.params["w"]
    short = near.params["w"] - state.params["w"]
    assert float(jnp.linalg.norm(short)) == pytest.approx(1e-2, rel=1e-4)
    factor = 1e-2 / float(far_out["grad_norm"])
    np.testing.assert_allclose(short, long * factor, rtol=1e-3, atol=1e-7)
    # What is put out is the norm before clipping: what a person wants to see.
    assert float(near_out["grad_norm"]) == float(far_out["grad_norm"]) > 1e-2


def test_a_small_gradient_is_left_alone(prepare, linear, make_batch, same_bits):
    state, free = prepare(linear)
    _, clipped = prepare(linear, clip_norm=1e6)
    assert same_bits(free(state, make_batch()), clipped(state, make_batch()))


def test_global_norm_is_the_norm_of_all_leaves_together():
    tree = {"a": jnp.array([[3.0, 0.0]]), "b": (jnp.array(4.0), jnp.zeros((0, 2)))}
    assert float(global_norm(tree)) == 5.0
    assert float(global_norm(tree)) == pytest.approx(float(optax.tree.norm(tree)))
    assert float(global_norm({})) == 0.0
    assert global_norm({"a": jnp.ones(4, jnp.bfloat16)}).dtype == jnp.float32


@pytest.mark.parametrize(("dtype", "value"), [("float16", 300.0), ("bfloat16", 1.0)])
def test_norms_of_narrow_leaves_are_summed_in_float32(dtype, value):
    """300 ** 2 is no float16, and 4096 ones in bfloat16 add up to 256."""
    leaf = jnp.full(4096, value, dtype)
    assert float(global_norm({"a": leaf})) == pytest.approx(64 * value)


def test_norms_of_complex_leaves_are_those_of_their_parts():
    assert float(global_norm({"a": jnp.array([3 + 4j, 12j])})) == 13.0


def test_the_factor_of_clipping():
    assert float(clip_factor(jnp.float32(4), 1.0)) == 0.25
    assert float(clip_factor(jnp.float32(0.5), 1.0)) == 1.0
    assert float(clip_factor(jnp.float32(0), 1.0)) == 1.0


def test_clipping_by_nothing_is_refused(linear):
    for wrong in (0.0, -1.0):
        with pytest.raises(
            ConfigError, match=f"clip_norm: expected a number above 0, found {wrong}"
        ):
            make_train_step(linear, cross_entropy(), FULL, clip_norm=wrong)
    with pytest.raises(ConfigError, match="clip_norm needs the norm"):
        make_train_step(linear, cross_entropy(), FULL, clip_norm=1.0, norm=False)


def test_the_norm_is_left_out_with_its_cost(prepare, linear, make_batch, same_bits):
    batch = make_batch()
    state, usual = prepare(linear, FULL)
    _, quiet = prepare(linear, FULL, norm=False)
    _, bare = prepare(linear, FULL, norm=False, guard=False)
    expected, said = usual(state, batch)
    for step, gone in ((quiet, {"grad_norm"}), (bare, {"grad_norm", "finite"})):
        after, output = step(state, batch)
        assert set(said) - set(output) == gone
        assert same_bits(after.params, expected.params)
    # One product forward, one back; the norm is a third.
    products = [step.lower(state, batch).as_text().count("dot_general") for step in (usual, bare)]
    assert products == [3, 2]
