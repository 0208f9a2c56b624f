import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.optim import lamb
from tests.optim.parity import assert_same, built, by_numpy, trajectory


def test_it_is_the_papers():
    """Algorithm 2 of arXiv:1904.00962, phi the identity."""
    rate, b1, b2, eps, decay = 0.02, 0.8, 0.95, 1e-4, 0.1
    moments = {}

    def step(params, grads, t):
        new = {}
        for name, x in params.items():
            m, v = moments.get(name, (0.0, 0.0))
            g = grads[name]
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            moments[name] = m, v
            r = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
            along = r + decay * x
            new[name] = x - rate * np.linalg.norm(x) / np.linalg.norm(along) * along
        return new

    options = {"b1": b1, "b2": b2, "eps": eps, "weight_decay": decay}
    assert_same(trajectory(built("lamb", rate, options), 40), by_numpy(step, 40))


def test_an_array_of_zeros_takes_its_step_unscaled():
    tx = lamb(0.5)
    updates, _ = tx.update(jnp.ones(2), tx.init(jnp.zeros(2)), jnp.zeros(2))
    assert updates.tolist() == pytest.approx([-0.5, -0.5], rel=1e-4)
