import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import sgd
from jaxtrain.step import (
    cross_entropy,
    forward,
    gradient,
    make_train_step,
    objective,
    sharpness_aware,
    step_key,
)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_gradient_is_that_at_the_highest_place_nearby(prepare, linear, make_batch, adaptive):
    """Foret et al. 2021, eq. 2, and Kwon et al. 2021, algorithm 1, written out."""
    batch, (state, _) = make_batch(padding=(3,)), prepare(linear)
    w = state.params["w"]

    def loss(w):
        logits = batch["inputs"] @ w
        each = jax.nn.logsumexp(logits, axis=-1) - logits[jnp.arange(12), batch["labels"]]
        return (each * batch["row_mask"]).sum() / 11

    grad = jax.grad(loss)(w)
    if adaptive:
        offset = 0.5 * w**2 * grad / jnp.linalg.norm(jnp.abs(w) * grad)
    else:
        offset = 0.5 * grad / jnp.linalg.norm(grad)
    expected = jax.grad(loss)(w + offset)
    assert not np.allclose(grad, expected, atol=1e-2)

    differentiate = gradient(objective(forward(linear), cross_entropy()))
    found = sharpness_aware(differentiate, 0.5, adaptive=adaptive)(state, batch, step_key(state))
    np.testing.assert_allclose(found.grads["w"], expected, atol=1e-6)
    assert float(found.total) == pytest.approx(float(loss(w)) * 11, rel=1e-6)


def test_the_radius_does_not_depend_on_what_scales_the_gradient(prepare, linear, make_batch):
    """float16's loss scale and the factor of micro-batches are no part of its direction."""
    batch = make_batch()
    state, whole = prepare(linear, tx=sgd(1.0), sam_radius=0.5)
    _, parts = prepare(linear, tx=sgd(1.0), sam_radius=0.5, accumulate=3)
    expected, _ = whole(state, batch)
    found, _ = parts(state, batch)
    np.testing.assert_allclose(found.params["w"], expected.params["w"], atol=1e-6)
    scaled, half = prepare(linear, tx=sgd(1.0), sam_radius=0.5, precision="float16")
    found, said = half(scaled, batch)
    assert said["finite"]
    np.testing.assert_allclose(found.params["w"], expected.params["w"], atol=5e-3)


def test_what_a_step_says_is_of_the_parameters_it_began_with(prepare, model, make_batch):
    """Loss, outputs and batch statistics: the second pass leaves no trace in them."""
    batch = make_batch()
    state, plain = prepare(model)
    _, aware = prepare(model, sam_radius=0.5)
    (one, said), (other, also) = plain(state, batch), aware(state, batch)
    for name in ("loss", "outputs"):
        np.testing.assert_allclose(said[name], also[name], rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one.model_state, other.model_state
    )
    assert not np.allclose(said["grad_norm"], also["grad_norm"], rtol=1e-3)


def test_nothing_moves_where_there_is_no_gradient(prepare, linear, make_batch, same_bits):
    batch = make_batch(padding=tuple(range(12)))
    state, aware = prepare(linear, sam_radius=0.5)
    new, said = aware(state, batch)
    assert said["finite"]
    assert same_bits(new.params, state.params)


def test_a_radius_is_above_zero(linear):
    with pytest.raises(ConfigError, match="radius above 0, found 0"):
        make_train_step(linear, cross_entropy(), sgd(1.0), sam_radius=0.0)
