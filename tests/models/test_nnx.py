import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxtrain.errors import DataError
from jaxtrain.models import from_nnx


class Net(nnx.Module):
    """Dense, batch norm, two dropouts, dense."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(6, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.first = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, inputs):
        hidden = self.norm(self.layers[0](inputs))
        return self.layers[1](self.second(self.first(hidden)))


class Dropouts(nnx.Module):
    """The masks of two dropouts, side by side."""

    def __init__(self, rngs):
        self.first = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, inputs):
        return jnp.stack([self.first(inputs), self.second(inputs)])


@pytest.fixture
def batch():
    return {"inputs": jax.random.normal(jax.random.key(9), (16, 6))}


def made(kind):
    return from_nnx(Net) if kind == "factory" else from_nnx(Net(nnx.Rngs(0)))


@pytest.mark.parametrize("kind", ["factory", "module"])
def test_variables_are_plain_dicts_of_arrays(kind, batch):
    variables = made(kind).init(jax.random.key(0), batch)
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {
            "layers": {
                "0": {"kernel": (6, 8), "bias": (8,)},
                "1": {"kernel": (8, 3), "bias": (3,)},
            },
            "norm": {"scale": (8,), "bias": (8,)},
        },
        "batch_stats": {"norm": {"mean": (8,), "var": (8,)}},
    }
    assert all(type(leaf).__module__.startswith("jax") for leaf in jax.tree.leaves(variables))


def test_a_factory_depends_on_the_key_and_may_be_traced(batch):
    model = from_nnx(Net)
    first, same, other = (model.init(jax.random.key(seed), batch) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, same)
    kernel = first["params"]["layers"]["0"]["kernel"]
    assert not np.array_equal(kernel, other["params"]["layers"]["0"]["kernel"])
    jax.tree.map(
        np.testing.assert_array_equal, first, jax.jit(model.init)(jax.random.key(0), batch)
    )


def test_a_module_gives_copies_of_the_values_it_holds(batch):
    module = Net(nnx.Rngs(0))
    model = from_nnx(module)
    variables = model.init(jax.random.key(5), batch)
    kernel = variables["params"]["layers"]["0"]["kernel"]
    np.testing.assert_array_equal(kernel, module.layers[0].kernel[...])
    kernel.delete()
    np.testing.assert_array_equal(
        model.init(jax.random.key(5), batch)["params"]["layers"]["0"]["kernel"],
        module.layers[0].kernel[...],
    )


@pytest.mark.parametrize("kind", ["factory", "module"])
def test_evaluation_equals_the_module_itself(kind, batch):
    module = Net(nnx.Rngs(jax.random.key(3)))
    model = from_nnx(Net) if kind == "factory" else from_nnx(module)
    outputs, updated = model.apply(model.init(jax.random.key(3), batch), batch, train=False)
    module.eval()
    np.testing.assert_array_equal(outputs, module(batch["inputs"]))
    assert updated == {}


def test_training_updates_the_statistics_as_the_module_does(batch):
    module = Net(nnx.Rngs(0))
    model = from_nnx(module)
    variables = model.init(jax.random.key(0), batch)
    _, updated = jax.jit(lambda v, key: model.apply(v, batch, train=True, rngs={"dropout": key}))(
        variables, jax.random.key(1)
    )
    assert set(updated) == {"batch_stats"}
    # The module of the user is as it was, its mode and its statistics.
    assert not module.first.deterministic
    np.testing.assert_array_equal(module.norm.mean[...], np.zeros(8))
    module.train()
    module(batch["inputs"])
    np.testing.assert_allclose(
        updated["batch_stats"]["norm"]["mean"], module.norm.mean[...], rtol=1e-6, atol=1e-7
    )


def test_dropout_depends_on_the_key_alone_and_layers_differ():
    batch = {"inputs": jnp.ones((40, 10))}
    model = from_nnx(Dropouts)
    variables = model.init(jax.random.key(0), batch)

    def masks(seed):
        return model.apply(variables, batch, train=True, rngs={"dropout": jax.random.key(seed)})[0]

    np.testing.assert_array_equal(masks(1), masks(1))
    assert not np.array_equal(masks(1), masks(2))
    assert not np.array_equal(masks(1)[0], masks(1)[1])
    assert 0.4 < np.mean(np.asarray(masks(1)) > 0) < 0.6


def test_a_stream_takes_the_key_of_its_own_name():
    batch = {"inputs": jnp.ones((40, 10))}
    model = from_nnx(lambda rngs: Dropouts(nnx.Rngs(dropout=rngs())))
    keys = {"a": jax.random.key(1), "dropout": jax.random.key(2)}
    apply = lambda rngs: model.apply({"params": {}}, batch, train=True, rngs=rngs)[0]  # noqa: E731
    np.testing.assert_array_equal(apply(keys), apply({"dropout": keys["dropout"]}))
    assert not np.array_equal(apply(keys), apply({"a": keys["a"]}))


def test_training_a_random_module_without_keys_is_an_error():
    batch = {"inputs": jnp.ones((4, 2))}
    model = from_nnx(Dropouts)
    variables = model.init(jax.random.key(0), batch)
    with pytest.raises(ValueError, match=r"random streams .* rngs is empty; pass one key"):
        model.apply(variables, batch, train=True)
    outputs, _ = model.apply(variables, batch, train=False)
    assert (outputs == 1).all()


def test_gradients_reach_every_parameter(batch):
    model = from_nnx(Net)
    variables = model.init(jax.random.key(0), batch)

    def loss(params):
        outputs, _ = model.apply(
            {**variables, "params": params}, batch, train=True, rngs={"dropout": jax.random.key(1)}
        )
        return jnp.mean(outputs**2 + outputs)

    gradients = jax.jit(jax.grad(loss))(variables["params"])
    # The bias before a batch norm has none: the norm takes the mean away again.
    del gradients["layers"]["0"]["bias"]
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradients))


def test_subclasses_of_param_are_trained_and_own_variables_keep_their_type_as_name(batch):
    class Gain(nnx.Param):
        pass

    class Threshold(nnx.Variable):
        pass

    class Scaled(nnx.Module):
        def __init__(self, rngs):
            self.gain = Gain(jnp.ones(()))
            self.threshold = Threshold(jnp.zeros(()))

        def __call__(self, inputs, *, train):
            self.threshold[...] += 1
            return inputs * self.gain[...] + (1.0 if train else 0.0)

    model = from_nnx(Scaled)
    variables = model.init(jax.random.key(0), batch)
    assert variables == {"params": {"gain": 1.0}, "Threshold": {"threshold": 0.0}}
    outputs, updated = model.apply(variables, batch, train=True)
    np.testing.assert_array_equal(outputs, batch["inputs"] + 1)
    assert updated == {"Threshold": {"threshold": 1.0}}


def test_a_bare_array_is_refused_with_its_path():
    class Bare(nnx.Module):
        def __init__(self, rngs):
            self.table = nnx.data(jnp.ones(3))

    with pytest.raises(TypeError, match=r"Bare\.table is a bare array; make it an nnx.Param"):
        from_nnx(Bare)


def test_a_missing_input_is_named(batch):
    for model in (from_nnx(Net, inputs="image"), from_nnx(Net(nnx.Rngs(0)), inputs="image")):
        with pytest.raises(DataError, match="the model reads 'image'"):
            model.init(jax.random.key(0), batch)


def test_a_linen_module_is_told_where_to_go():
    from flax import linen

    with pytest.raises(TypeError, match="for these there is from_linen"):
        from_nnx(linen.Dense(2))
