"""How modules of both libraries are told whether they are in training."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtrain.errors import ConfigError
from jaxtrain.models import from_linen, from_nnx
from jaxtrain.models.calling import call_options, has_switch, inputs_of, switches

BATCH = {"inputs": jnp.ones((40, 10))}
NAMES = ("train", "training", "is_training", "deterministic", "use_running_average")


def linen_with(name):
    """A module with dropout and batch norm whose switch has this name."""
    source = f"""
def __call__(self, inputs, {name}={name in NAMES[3:]}):
    train = {name} if {name in NAMES[:3]} else not {name}
    hidden = nn.BatchNorm(use_running_average=not train)(inputs)
    return nn.Dropout(0.5, deterministic=not train)(hidden)
"""
    space = {"nn": nn}
    exec(source, space)
    return type("Net", (nn.Module,), {"__call__": nn.compact(space["__call__"])})()


def nnx_with(name):
    source = f"""
def __call__(self, inputs, {name}={name in NAMES[3:]}):
    train = {name} if {name in NAMES[:3]} else not {name}
    hidden = self.norm(inputs, use_running_average=not train)
    return self.dropout(hidden, deterministic=not train)
"""
    space = {}
    exec(source, space)

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(10, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    return type("Net", (nnx.Module,), {"__init__": __init__, "__call__": space["__call__"]})


def zeros_and_changes(model, train):
    variables = model.init(jax.random.key(0), BATCH)
    outputs, updated = model.apply(
        variables, BATCH, train=train, rngs={"dropout": jax.random.key(1)} if train else None
    )
    return float(np.mean(np.asarray(outputs) == 0)), updated


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_a_switch_of_any_known_name_is_understood(library, name):
    ones = {"inputs": jnp.arange(400.0).reshape(40, 10) + 1}
    model = from_linen(linen_with(name)) if library == "linen" else from_nnx(nnx_with(name))
    variables = model.init(jax.random.key(0), ones)
    outputs, updated = model.apply(variables, ones, train=True, rngs={"dropout": jax.random.key(1)})
    assert 0.3 < np.mean(np.asarray(outputs) == 0) < 0.7
    assert set(updated) == {"batch_stats"}
    outputs, updated = model.apply(variables, ones, train=False)
    assert (np.asarray(outputs) != 0).all()
    assert updated == {}


class FieldSwitch(nn.Module):
    deterministic: bool = True

    @nn.compact
    def __call__(self, inputs):
        return nn.Dropout(0.5, deterministic=self.deterministic)(inputs)


def test_a_switch_may_be_a_field_of_a_linen_module():
    model = from_linen(FieldSwitch())
    assert 0.3 < zeros_and_changes(model, True)[0] < 0.7
    assert zeros_and_changes(model, False)[0] == 0


class DeafLinen(nn.Module):
    layer: str

    @nn.compact
    def __call__(self, inputs):
        if self.layer == "Dropout":
            return nn.Dropout(0.999, deterministic=True)(inputs)
        if self.layer == "BatchNorm":
            return nn.BatchNorm(use_running_average=True)(inputs)
        return nn.MultiHeadDotProductAttention(2, dropout_rate=0.5, deterministic=True)(inputs)


@pytest.mark.parametrize("layer", ["Dropout", "BatchNorm", "MultiHeadDotProductAttention"])
def test_a_linen_module_that_can_not_be_told_is_refused(layer):
    model = from_linen(DeafLinen(layer))
    message = f"DeafLinen has {layer}.*add an argument `train` to DeafLinen.__call__"
    with pytest.raises(ConfigError, match=message):
        model.init(jax.random.key(0), BATCH)
    with pytest.raises(ConfigError, match=message):
        model.apply({"params": {}}, BATCH, train=True)


def test_layers_that_always_do_the_same_are_not_refused():
    class Still(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            hidden = nn.Dropout(0.0, deterministic=True)(nn.LayerNorm()(inputs))
            return nn.MultiHeadDotProductAttention(2)(hidden)

    model = from_linen(Still())
    variables = model.init(jax.random.key(0), BATCH)
    assert model.apply(variables, BATCH, train=True)[0].shape == (40, 10)


class DeafNNX(nnx.Module):
    def __init__(self, rngs, layer="Dropout"):
        self.layer = layer
        if layer == "Dropout":
            self.part = nnx.Dropout(0.999, rngs=rngs)
        else:
            self.part = nnx.BatchNorm(10, rngs=rngs)

    def __call__(self, inputs):
        if self.layer == "Dropout":
            return self.part(inputs, deterministic=True)
        return self.part(inputs, use_running_average=True)


@pytest.mark.parametrize("layer", ["Dropout", "BatchNorm"])
def test_an_nnx_module_that_can_not_be_told_is_refused(layer):
    model = from_nnx(lambda rngs: DeafNNX(rngs, layer))
    variables = model.init(jax.random.key(0), BATCH)
    with pytest.raises(ConfigError, match=f"DeafNNX has {layer}.*add an argument `train`"):
        model.apply(variables, BATCH, train=True, rngs={"dropout": jax.random.key(1)})
    np.testing.assert_allclose(
        model.apply(variables, BATCH, train=False)[0], BATCH["inputs"], rtol=1e-4
    )


class StatefulNNX(nnx.Module):
    """Switched by an attribute of its own, and by train() and eval()."""

    def __init__(self, rngs):
        self.training = False
        self.mode = "unknown"
        self.dropout = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

    def train(self, **attributes):
        super().train(**attributes)
        self.mode = "train"

    def eval(self, **attributes):
        super().eval(**attributes)
        self.mode = "eval"

    def __call__(self, inputs):
        assert self.mode == ("train" if self.training else "eval")
        return self.dropout(inputs) + (100.0 if self.training else 0.0)


def test_the_own_state_of_an_nnx_module_is_switched():
    for model in (from_nnx(StatefulNNX), from_nnx(StatefulNNX(nnx.Rngs(0)))):
        outputs, _ = model.apply(
            {"params": {}}, BATCH, train=True, rngs={"dropout": jax.random.key(1)}
        )
        assert set(np.unique(outputs)) == {100.0, 102.0}
        outputs, _ = model.apply({"params": {}}, BATCH, train=False)
        np.testing.assert_array_equal(outputs, BATCH["inputs"])


def test_an_nnx_module_under_remat_is_evaluated_without_keys():
    class Rematted(nnx.Module):
        def __init__(self, rngs):
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, inputs):
            return nnx.remat(lambda module, x: module.dropout(x))(self, inputs)

    model = from_nnx(Rematted)
    evaluate = jax.jit(lambda: model.apply({"params": {}}, BATCH, train=False)[0])
    np.testing.assert_array_equal(evaluate(), BATCH["inputs"])
    trained = jax.jit(
        lambda key: model.apply({"params": {}}, BATCH, train=True, rngs={"dropout": key})[0]
    )(jax.random.key(0))
    assert 0.3 < np.mean(np.asarray(trained) == 0) < 0.7


def test_what_a_signature_names_is_given():
    class Module:
        def __call__(self, inputs, *, deterministic, row_mask, mask=None):
            pass

    tokens, rows = jnp.ones((2, 3)), jnp.array([1.0, 0.0])
    options = call_options(Module(), {"mask": tokens, "row_mask": rows}, train=True)
    assert set(options) == {"deterministic", "mask", "row_mask"}
    assert options["deterministic"] is False
    np.testing.assert_array_equal(options["mask"], [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(options["row_mask"], rows)
    assert call_options(Module(), {}, train=False) == {
        "deterministic": True,
        "mask": None,
        "row_mask": None,
    }
    assert has_switch(Module())
    assert set(switches(train=True)) == set(NAMES)


def test_several_inputs_become_as_many_arguments():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, left, right):
            return nn.Dense(2)(left) + right

    batch = {"left": jnp.ones((4, 3)), "right": jnp.ones((4, 2))}
    assert [x.shape for x in inputs_of(batch, ("right", "left"))] == [(4, 2), (4, 3)]
    model = from_linen(Two(), inputs=("left", "right"))
    variables = model.init(jax.random.key(0), batch)
    assert model.apply(variables, batch, train=True)[0].shape == (4, 2)
