import jax
import jax.numpy as jnp
import numpy as np
import optax
import pydantic
import pytest

from jaxtrain.optim import OPTIMIZERS, adamw, sgd


class Section(pydantic.BaseModel):
    name: str
    learning_rate: float = 1e-3


def run(tx, steps=5):
    """Parameters after a few updates on f(w) = sum(w**4) from a fixed start."""
    params = {"w": jnp.array([1.0, -0.5, 0.25], jnp.float32)}
    opt_state = tx.init(params)

    @jax.jit
    def step(params, opt_state):
        grads = jax.tree.map(lambda w: 4 * w**3, params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    for _ in range(steps):
        params, opt_state = step(params, opt_state)
    return params["w"]


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (adamw(0.1), optax.adamw(0.1)),
        (
            adamw(0.1, b1=0.5, b2=0.9, eps=1e-3, weight_decay=0.2),
            optax.adamw(0.1, b1=0.5, b2=0.9, eps=1e-3, weight_decay=0.2),
        ),
        (sgd(0.1), optax.sgd(0.1)),
        (sgd(0.1, momentum=0.9), optax.sgd(0.1, momentum=0.9)),
        (
            sgd(0.1, momentum=0.9, nesterov=True),
            optax.sgd(0.1, momentum=0.9, nesterov=True),
        ),
    ],
)
def test_they_are_those_of_optax(ours, plain):
    np.testing.assert_allclose(run(ours), run(plain), rtol=1e-6)


def test_weight_decay_of_adamw_is_decoupled():
    params, grads = jnp.array([2.0]), jnp.array([0.0])
    tx = adamw(0.1, weight_decay=0.5)
    updates, _ = tx.update(grads, tx.init(params), params)
    assert float(updates[0]) == pytest.approx(-0.1 * 0.5 * 2.0)


def test_weight_decay_of_sgd_goes_through_the_momentum():
    params, grads = jnp.array([2.0]), jnp.array([1.0])
    tx = sgd(0.1, momentum=0.5, weight_decay=0.25)
    opt_state = tx.init(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    assert float(updates[0]) == pytest.approx(-0.1 * (1.0 + 0.25 * 2.0))
    updates, _ = tx.update(grads, opt_state, params)
    assert float(updates[0]) == pytest.approx(-0.1 * (0.5 * 1.5 + 1.5))


def test_sgd_without_momentum_keeps_no_state_of_the_size_of_the_parameters():
    params = jnp.ones(100)
    assert all(leaf.size == 1 for leaf in jax.tree.leaves(sgd(0.1).init(params)))


def test_sgd_runs_under_strict_promotion():
    # Adam does not: optax raises a float32 decay to an int32 count.
    with jax.numpy_dtype_promotion("strict"):
        assert run(sgd(1e-2, momentum=0.9, weight_decay=0.1)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("adamw", {"b1": 1.0}),
        ("adamw", {"b2": -0.1}),
        ("adamw", {"eps": 0.0}),
        ("adamw", {"weight_decay": -1e-3}),
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"weight_decay": -1.0}),
        ("sgd", {"nesterov": "often"}),
    ],
)
def test_options_out_of_range_are_refused(name, wrong):
    with pytest.raises(pydantic.ValidationError):
        OPTIMIZERS.schema(name, Section).model_validate({"name": name, **wrong})
