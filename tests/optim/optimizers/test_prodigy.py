import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.optim import prodigy
from tests.optim.parity import assert_same, built, by_numpy, trajectory


@pytest.mark.parametrize("guarded", [False, True])
def test_it_is_the_papers(guarded):
    """Algorithm 4 of arXiv:2306.06101, `gamma` corrected for Adam's bias."""
    rate, b1, b2, b3, eps, decay = 0.5, 0.8, 0.95, 0.9, 1e-8, 0.1
    d, r, memory, start = [1e-3], [0.0], {}, {}

    def step(params, grads, t):
        gamma = rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        now = d[0]
        new, size, along = {}, 0.0, 0.0
        for name, x in params.items():
            g = grads[name]
            start.setdefault(name, x)
            m, v, s = memory.get(name, (0.0, 0.0, 0.0))
            m, v = b1 * m + (1 - b1) * now * g, b2 * v + (1 - b2) * (now * g) ** 2
            s = b3 * s + (1 if guarded else gamma) * now**2 * g
            memory[name] = m, v, s
            along += (g * (start[name] - x)).sum()
            size += np.abs(s).sum()
            new[name] = x - gamma * now * (m / (np.sqrt(v) + now * eps) + decay * x)
        r[0] = b3 * r[0] + gamma * now**2 * along
        d[0] = max(now, 1.5 * r[0] / size)
        return new

    options = {
        "b1": b1,
        "b2": b2,
        "b3": b3,
        "eps": eps,
        "weight_decay": decay,
        "first_distance": 1e-3,
        "distance_factor": 1.5,
        "safeguard_warmup": guarded,
    }
    assert_same(trajectory(built("prodigy", rate, options), 40), by_numpy(step, 40))
    assert d[0] > 5e-3  # the estimate has grown


@pytest.mark.parametrize("rate", [lambda step: step / 10.0, 1.0])
def test_a_first_rate_or_gradient_of_nothing_is_no_estimate(rate):
    """As at the beginning of a warm-up; with optax all is NaN from there on."""
    tx = prodigy(rate)
    params = jnp.ones(3)
    opt_state = tx.init(params)
    for gradient in (0.0 if rate == 1.0 else 1.0, 1.0, 1.0):
        updates, opt_state = tx.update(jnp.full(3, gradient), opt_state, params)
        params = params + updates
    assert bool(jnp.isfinite(params).all())
    assert bool((params < 1).all())
