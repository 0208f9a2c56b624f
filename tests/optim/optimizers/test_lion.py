import numpy as np

from tests.optim.parity import assert_same, built, by_numpy, trajectory


def test_it_is_the_papers():
    """Algorithm 2 of arXiv:2302.06675."""
    rate, b1, b2, decay = 1e-3, 0.8, 0.95, 0.5
    m = {}

    def step(params, grads, t):
        new = {}
        for name, x in params.items():
            before, g = m.get(name, 0.0), grads[name]
            sign = np.sign(b1 * before + (1 - b1) * g)
            m[name] = b2 * before + (1 - b2) * g
            new[name] = x - rate * (sign + decay * x)
        return new

    options = {"b1": b1, "b2": b2, "weight_decay": decay}
    assert_same(trajectory(built("lion", rate, options), 40), by_numpy(step, 40))
