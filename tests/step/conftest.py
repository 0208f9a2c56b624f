"""A batch, and small models that are initialised once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models import Model, mlp


def begun(model):
    """The model, initialised once: compiling random numbers takes longer than the tests do."""
    batch = {"inputs": np.zeros((12, 6), np.float32)}
    variables = jax.tree.map(np.asarray, jax.jit(model.init)(jax.random.key(0), batch))
    return Model(
        init=lambda rng, batch: jax.tree.map(jnp.asarray, variables),
        apply=model.apply,
    )


@pytest.fixture(scope="session", params=["linen", "nnx"])
def model(request, stochastic_model):
    """A model with dropout and batch statistics, in Linen and in NNX."""
    return begun(stochastic_model(request.param))


@pytest.fixture(scope="session")
def plain():
    """A model without random numbers and without state."""
    return begun(mlp(3, hidden=(8,)))


@pytest.fixture(scope="session")
def linear():
    """`inputs @ w`, w [6, 3] beginning at a fixed value: the cheapest model to compile."""

    def init(rng, batch):
        return {"params": {"w": jnp.linspace(-0.5, 0.5, 18).reshape(6, 3)}}

    def apply(variables, batch, *, train, rngs=None):
        return batch["inputs"] @ variables["params"]["w"], {}

    return Model(init=init, apply=apply)


@pytest.fixture
def make_batch():
    """make_batch(rows, padding=(11,)): a batch of 6 features and 3 classes, some rows padding."""

    def make(rows=12, padding=(), seed=0):
        random = np.random.default_rng(seed)
        mask = np.ones(rows, np.float32)
        mask[list(padding)] = 0
        return {
            "inputs": random.normal(size=(rows, 6)).astype(np.float32),
            "labels": random.integers(0, 3, rows).astype(np.int32),
            "row_mask": mask,
        }

    return make


@pytest.fixture
def same_bits():
    """same_bits(a, b): whether two trees have the same structure, dtypes and bytes."""

    def raw(leaf):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        leaf = np.asarray(leaf)
        return leaf.dtype, leaf.shape, leaf.tobytes()

    def same(a, b):
        if jax.tree.structure(a) != jax.tree.structure(b):
            return False
        pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        return all(raw(left) == raw(right) for left, right in pairs)

    return same
