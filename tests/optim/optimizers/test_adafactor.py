import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.optim import adafactor
from tests.optim.parity import assert_same, assert_theirs, built, by_numpy, cases, trajectory


@cases("adafactor")
def test_it_is_pytorchs(case):
    assert_theirs(case)


def rms(x):
    return np.sqrt(np.mean(x * x))


def test_it_is_the_papers():
    """Algorithms 4 and 5 of arXiv:1804.04235, with the second moment of section 7."""
    rate, power, threshold, decay = 0.05, 0.7, 1.2, 0.1
    memory = {}

    def step(params, grads, t):
        new = {}
        share = 1 - t**-power
        for name, x in params.items():
            squares = grads[name] ** 2 + 1e-30
            if x.ndim == 2:
                r, c = memory.get(name, (0.0, 0.0))
                r = share * r + (1 - share) * squares.sum(1)
                c = share * c + (1 - share) * squares.sum(0)
                memory[name] = r, c
                v = np.outer(r, c) / r.sum()
            else:
                v = memory[name] = share * memory.get(name, 0.0) + (1 - share) * squares
            u = grads[name] / np.sqrt(v)
            u = u / max(1, rms(u) / threshold)
            alpha = max(1e-3, rms(x)) * min(rate, t**-0.5)
            new[name] = x - alpha * u - rate * decay * x
        return new

    options = {
        "decay_rate": power,
        "clipping": threshold,
        "smallest_factored": 2,
        "weight_decay": decay,
    }
    assert_same(trajectory(built("adafactor", rate, options), 40), by_numpy(step, 40))


def one_step(**options):
    """Of a gradient of 3 everywhere, at parameters of 2, at the second update."""
    tx = adafactor(5.0, **options)
    params, grads = jnp.full(4, 2.0), jnp.full(4, 3.0)
    _, opt_state = tx.update(grads, tx.init(params), params)
    updates, _ = tx.update(grads, opt_state, params)
    return float(updates[0])


def test_the_rate_is_capped_and_scaled_where_that_is_wanted():
    assert one_step() == pytest.approx(-2 / np.sqrt(2), rel=1e-5)
    assert one_step(scale_by_parameters=False) == pytest.approx(-1 / np.sqrt(2), rel=1e-5)
    assert one_step(cap_rate=False) == pytest.approx(-10, rel=1e-5)


def test_clipping_is_of_effect_and_can_be_left_out():
    options = {"scale_by_parameters": False, "cap_rate": False}
    assert one_step(clipping=0.5, **options) == pytest.approx(-2.5, rel=1e-5)
    assert one_step(clipping=None, **options) == pytest.approx(-5, rel=1e-5)


@pytest.mark.parametrize(("smallest", "numbers"), [(128, 64 * 32), (32, 64 + 32)])
def test_short_axes_are_not_factored(smallest, numbers):
    opt_state = adafactor(0.1, smallest_factored=smallest).init(jnp.zeros((64, 32)))
    assert sum(leaf.size for leaf in jax.tree.leaves(opt_state) if leaf.size > 1) == numbers
