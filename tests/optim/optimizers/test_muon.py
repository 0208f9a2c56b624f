import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.optim import adamw, muon
from jaxtrain.optim.optimizers.muon import orthogonal
from tests.optim.parity import assert_same, assert_theirs, built, by_numpy, cases, trajectory


@cases("muon")
def test_it_is_pytorchs(case):
    assert_theirs(case)


def test_it_is_jordans():
    """His post of 2024, with the decay of equation 3 of arXiv:2502.16982; AdamW for vectors."""
    rate, mu, decay, adam_scale = 0.02, 0.9, 0.1, 0.25
    moments = {}

    def turned(x):
        x = x.T if (tall := x.shape[0] > x.shape[1]) else x
        x = x / np.sqrt((x * x).sum())
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return x.T if tall else x

    def step(params, grads, t):
        new = {}
        for name, x in params.items():
            g = grads[name]
            if x.ndim == 2:
                m = moments[name] = mu * moments.get(name, 0.0) + (1 - mu) * g
                factor = max(1, x.shape[1] / x.shape[0]) ** 0.5
                new[name] = (1 - rate * decay) * x - rate * factor * turned((1 - mu) * g + mu * m)
            else:
                m, v = moments.get(name, (0.0, 0.0))
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                moments[name] = m, v
                u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
                new[name] = x - rate * adam_scale * (u + decay * x)
        return new

    options = {"momentum": mu, "weight_decay": decay, "adam_scale": adam_scale}
    assert_same(trajectory(built("muon", rate, options), 40), by_numpy(step, 40))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 4, 6)])
def test_singular_values_come_near_to_one(shape):
    matrices = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values = np.linalg.svd(orthogonal(jnp.asarray(1e3 * matrices)), compute_uv=False)
    assert 0.6 < values.min() < values.max() < 1.3


def test_zeros_stay_zeros():
    assert orthogonal(jnp.zeros((3, 2))).tolist() == np.zeros((3, 2)).tolist()


def test_only_matrices_turn_and_a_stack_is_one_by_one():
    random = np.random.default_rng(0)
    params = {
        "embedding": {"table": random.normal(size=(6, 4))},
        "layers": {"q": {"kernel": random.normal(size=(2, 4, 4))}, "norm": np.ones((2, 4))},
        "list": {"layers": {"0": {"kernel": random.normal(size=(4, 4))}}},
        "head": {"kernel": random.normal(size=(4, 6)), "bias": np.ones(6)},
    }
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    grads = jax.tree.map(lambda x: x + 0.1, params)

    def first(tx):
        return tx.update(grads, tx.init(params), params)[0]

    found = first(muon(0.1, exclude=("embedding",), weight_decay=0.5))
    others = first(adamw(0.1, weight_decay=0.5))
    same = jax.tree.map(lambda a, b: bool(jnp.allclose(a, b)), found, others)
    assert same == {
        "embedding": {"table": True},
        "layers": {"q": {"kernel": False}, "norm": True},
        "list": {"layers": {"0": {"kernel": False}}},  # as NNX names those of a list
        "head": {"kernel": False, "bias": True},
    }
    kernel = params["layers"]["q"]["kernel"]
    alone = muon(0.1, weight_decay=0.5)
    each = [alone.update(kernel[n] + 0.1, alone.init(kernel[n]), kernel[n])[0] for n in range(2)]
    np.testing.assert_allclose(found["layers"]["q"]["kernel"], jnp.stack(each), rtol=1e-5)
