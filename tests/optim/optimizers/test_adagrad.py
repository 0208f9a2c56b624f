import jax.numpy as jnp

from jaxtrain.optim import adagrad
from tests.optim.parity import assert_theirs, cases


@cases("adagrad")
def test_it_is_pytorchs(case):
    assert_theirs(case)


def test_what_never_had_a_gradient_stays():
    tx = adagrad(0.1)
    updates, _ = tx.update(jnp.zeros(2), tx.init(jnp.ones(2)), jnp.ones(2))
    assert updates.tolist() == [0, 0]
