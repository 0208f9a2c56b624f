import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.models import from_linen


class Recorder(nn.Module):
    """Says through its outputs what it was called with."""

    @nn.compact
    def __call__(self, inputs, *, train, mask=None):
        calls = self.variable("calls", "number", lambda: jnp.zeros((), jnp.int32))
        if not self.is_initializing() and train:
            calls.value += 1
        self.sow("intermediates", "inputs", inputs)
        noise = jax.random.normal(self.make_rng("noise"), inputs.shape) if train else 0.0
        kept = jnp.ones(inputs.shape[0]) if mask is None else mask
        return nn.Dense(2)(inputs + noise) * kept[:, None]


@pytest.fixture
def batch():
    return {"inputs": jnp.ones((4, 3)), "labels": jnp.zeros(4, jnp.int32)}


def test_a_module_that_takes_no_train_gets_none(batch):
    model = from_linen(nn.Dense(2))
    variables = model.init(jax.random.key(0), batch)
    assert jax.tree.map(jnp.shape, variables) == {"params": {"bias": (2,), "kernel": (3, 2)}}
    outputs, updated = model.apply(variables, batch, train=True)
    np.testing.assert_array_equal(outputs, nn.Dense(2).apply(variables, batch["inputs"]))
    assert updated == {}


def test_init_depends_on_the_key_alone(batch):
    model = from_linen(nn.Dense(2))
    first, same, other = (model.init(jax.random.key(seed), batch) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, same)
    assert not np.array_equal(first["params"]["kernel"], other["params"]["kernel"])


def test_training_updates_collections_and_evaluation_none(batch):
    model = from_linen(Recorder())
    variables = model.init(jax.random.key(0), batch)
    assert set(variables) == {"params", "calls"}
    _, updated = model.apply(variables, batch, train=True, rngs={"noise": jax.random.key(1)})
    # What the module sows is left out: the structure of the state stays.
    assert set(updated) == {"calls"}
    assert updated["calls"]["number"] == 1
    _, updated = model.apply(variables, batch, train=False)
    assert updated == {}


def test_the_structure_of_the_collections_is_stable_under_jit(batch):
    model = from_linen(Recorder())
    variables = model.init(jax.random.key(0), batch)

    @jax.jit
    def step(variables, key):
        _, updated = model.apply(variables, batch, train=True, rngs={"noise": key})
        return {**variables, **updated}

    after = step(step(variables, jax.random.key(1)), jax.random.key(2))
    assert jax.tree.structure(after) == jax.tree.structure(variables)
    assert after["calls"]["number"] == 2


def test_the_mask_reaches_a_module_that_asks_for_it(batch):
    model = from_linen(Recorder())
    variables = model.init(jax.random.key(0), batch)
    masked = {**batch, "mask": jnp.array([1.0, 1.0, 0.0, 1.0])}
    outputs, _ = model.apply(variables, masked, train=False)
    assert not outputs[2].any()
    assert outputs[1].any()


def test_inputs_names_the_key_of_the_batch(batch):
    model = from_linen(nn.Dense(2), inputs="image")
    with pytest.raises(DataError, match=r"the model reads 'image'.*only 'inputs', 'labels'"):
        model.init(jax.random.key(0), batch)
    variables = model.init(jax.random.key(0), {"image": jnp.ones((4, 3))})
    with pytest.raises(DataError, match="the model reads 'image'"):
        model.apply(variables, batch, train=False)


def test_a_module_without_parameters_still_has_params(batch):
    class Double(nn.Module):
        def __call__(self, inputs):
            return inputs * 2

    assert from_linen(Double()).init(jax.random.key(0), batch) == {"params": {}}


def test_what_is_no_linen_module_is_told_where_to_go():
    from flax import nnx

    for wrong in (nn.Dense, nnx.Linear(2, 2, rngs=nnx.Rngs(0))):
        with pytest.raises(TypeError, match=r"(?s)expected a Linen module, .* there is from_nnx"):
            from_linen(wrong)
