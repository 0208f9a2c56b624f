import dataclasses

import jax
import jax.numpy as jnp
import pytest

import jaxtrain.models
from jaxtrain.errors import UnknownNameError
from jaxtrain.models import MODELS, Model


def test_a_model_written_by_hand_needs_two_functions_only():
    model = Model(
        init=lambda rng, batch: {"params": {"w": jnp.ones(3)}},
        apply=lambda variables, batch, *, train, rngs=None: (
            batch["inputs"] @ variables["params"]["w"],
            {},
        ),
    )
    variables = model.init(jax.random.key(0), {})
    outputs, updated = model.apply(variables, {"inputs": jnp.ones((2, 3))}, train=True)
    assert outputs.tolist() == [3.0, 3.0]
    assert updated == {}


def test_a_model_is_frozen():
    model = MODELS["mlp"](3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.init = None


def test_the_registry_knows_the_models_and_suggests_the_nearest():
    assert {"mlp", "cnn"} <= set(MODELS.names())
    with pytest.raises(UnknownNameError, match="unknown model 'mpl'; did you mean 'mlp'"):
        MODELS["mpl"]


def test_exports_exist():
    for name in jaxtrain.models.__all__:
        assert hasattr(jaxtrain.models, name)
