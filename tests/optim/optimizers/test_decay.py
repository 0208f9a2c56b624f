import jax.numpy as jnp
import optax
import pytest

from jaxtrain.optim.optimizers.decay import decayed


@pytest.mark.parametrize(
    ("weight_decay", "decoupled", "expected"),
    [(0.0, False, -0.5), (0.0, True, -0.5), (0.25, False, -0.5), (0.25, True, -0.75)],
)
def test_where_the_decay_comes_in(weight_decay, decoupled, expected):
    """Through a sign it does not show; beside it it does."""
    sign = optax.stateless(lambda updates, params: jnp.sign(updates))
    tx = decayed(sign, 0.5, weight_decay=weight_decay, decoupled=decoupled)
    updates, _ = tx.update(jnp.ones(1), tx.init(jnp.ones(1)), jnp.full(1, 2.0))
    assert float(updates[0]) == pytest.approx(expected)


def test_coupled_it_is_part_of_the_gradient():
    tx = decayed(optax.identity(), 0.5, weight_decay=0.25, decoupled=False)
    updates, _ = tx.update(jnp.ones(1), tx.init(jnp.ones(1)), jnp.full(1, 2.0))
    assert float(updates[0]) == pytest.approx(-0.75)
