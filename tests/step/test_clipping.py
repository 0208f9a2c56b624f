import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import sgd
from jaxtrain.step import clip_leaves, clip_values, cross_entropy, make_train_step

GRADS = {
    "large": jnp.array([[3.0, -4.0], [0.0, 12.0]]),
    "small": jnp.array([0.3, -0.4]),
    "none": jnp.zeros(2),
}


def test_values_are_those_of_optax():
    expected, _ = optax.clip(0.35).update(GRADS, optax.EmptyState())
    jax.tree.map(np.testing.assert_array_equal, clip_values(GRADS, 0.35), expected)


def test_each_leaf_is_scaled_by_its_own_norm():
    clipped = clip_leaves(GRADS, 1.0)
    np.testing.assert_allclose(clipped["large"], GRADS["large"] / 13, rtol=1e-6)
    np.testing.assert_array_equal(clipped["small"], GRADS["small"])
    np.testing.assert_array_equal(clipped["none"], GRADS["none"])


def test_nan_is_not_clipped_away():
    bad = {"w": jnp.array([jnp.nan, 2.0])}
    assert np.isnan(clip_values(bad, 1.0)["w"][0])
    assert np.isnan(clip_leaves(bad, 1.0)["w"]).all()


def test_a_half_has_not_the_range_for_squares():
    clipped = clip_leaves({"w": jnp.full(4, 300.0, jnp.float16)}, 1.0)["w"]
    assert clipped.dtype == jnp.float16
    np.testing.assert_allclose(clipped, 0.5, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "clip"),
    [
        ({"clip_value": 0.05}, lambda grads: clip_values(grads, 0.05)),
        ({"clip_leaf_norm": 0.1}, lambda grads: clip_leaves(grads, 0.1)),
    ],
)
def test_a_step_moves_by_the_clipped_gradient(prepare, linear, make_batch, options, clip):
    batch = make_batch()
    state, free = prepare(linear, tx=sgd(1.0))
    _, clipping = prepare(linear, tx=sgd(1.0), **options)
    whole, said = free(state, batch)
    clipped, also = clipping(state, batch)
    assert float(said["grad_norm"]) == float(also["grad_norm"])  # that before clipping
    change = state.params["w"] - whole.params["w"]
    expected = clip({"w": change})["w"]
    assert not np.allclose(change, expected)
    np.testing.assert_allclose(state.params["w"] - clipped.params["w"], expected, atol=1e-6)


def test_a_gradient_is_clipped_in_one_way(linear):
    with pytest.raises(ConfigError, match="clip_norm and clip_value"):
        make_train_step(linear, cross_entropy(), sgd(1.0), clip_norm=1.0, clip_value=1.0)
    for name in ("clip_norm", "clip_value", "clip_leaf_norm"):
        with pytest.raises(ConfigError, match=f"{name}: expected a number above 0, found 0"):
            make_train_step(linear, cross_entropy(), sgd(1.0), **{name: 0.0})
