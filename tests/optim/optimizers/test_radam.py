import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.optim import radam
from tests.optim.parity import assert_theirs, cases


@cases("radam")
def test_it_is_pytorchs(case):
    assert_theirs(case)


def first_updates(b2, number):
    """Of a gradient that stays 1, at a learning rate of 1."""
    tx = radam(1.0, b2=b2)
    opt_state = tx.init(jnp.zeros(1))
    found = []
    for _ in range(number):
        updates, opt_state = tx.update(jnp.ones(1), opt_state, jnp.zeros(1))
        found.append(-float(updates[0]))
    return found


def test_the_second_mean_is_trusted_from_the_sixth_update_on():
    """Its length after the fifth is 4.996: `1 - 0.999**5` in float32 is off by more than that."""
    found = first_updates(0.999, 7)
    assert found[:5] == pytest.approx([1.0] * 5)
    longest = 2 / (1 - 0.999) - 1
    for t in (6, 7):
        length = longest - 2 * t * 0.999**t / (1 - 0.999**t)
        expected = np.sqrt(
            (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        )
        assert found[t - 1] == pytest.approx(expected, rel=3e-4)


def test_so_short_a_mean_is_never_trusted():
    """Of length 3 at most."""
    assert first_updates(0.5, 20) == pytest.approx([1.0] * 20)
    assert first_updates(0.0, 3) == pytest.approx([1.0] * 3)
