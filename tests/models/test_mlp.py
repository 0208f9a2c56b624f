import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest

from jaxtrain.models import MODELS, mlp


class Section(pydantic.BaseModel):
    name: str = "mlp"


@pytest.fixture
def batch():
    return {"inputs": jax.random.normal(jax.random.key(9), (16, 5, 4))}


def test_inputs_are_flattened_and_layers_named(batch):
    variables = mlp(3, hidden=(8, 6)).init(jax.random.key(0), batch)
    assert jax.tree.map(jnp.shape, variables) == {
        "params": {
            "hidden_0": {"kernel": (20, 8), "bias": (8,)},
            "hidden_1": {"kernel": (8, 6), "bias": (6,)},
            "output": {"kernel": (6, 3), "bias": (3,)},
        }
    }


def test_no_hidden_layer_makes_a_linear_model(batch):
    model = mlp(3, hidden=())
    variables = model.init(jax.random.key(0), batch)
    outputs, _ = model.apply(variables, batch, train=False)
    output = variables["params"]["output"]
    expected = batch["inputs"].reshape(16, 20) @ output["kernel"] + output["bias"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_the_forward_pass_is_the_formula(batch):
    model = mlp(3, hidden=(8,))
    variables = model.init(jax.random.key(0), batch)
    first, last = variables["params"]["hidden_0"], variables["params"]["output"]
    hidden = jnp.maximum(batch["inputs"].reshape(16, 20) @ first["kernel"] + first["bias"], 0)
    outputs, _ = model.apply(variables, batch, train=True)
    np.testing.assert_allclose(
        outputs, hidden @ last["kernel"] + last["bias"], rtol=1e-5, atol=1e-6
    )


def test_initialisation_is_as_stated():
    params = mlp(400, hidden=(500,)).init(jax.random.key(1), {"inputs": jnp.ones((1, 300))})[
        "params"
    ]
    for layer, variance in (("hidden_0", 2 / 300), ("output", 1 / 500)):
        kernel = np.asarray(params[layer]["kernel"])
        standard_error = np.sqrt(variance / kernel.size)
        assert abs(kernel.mean()) < 5 * standard_error
        # 5 standard errors of a variance, a little below sqrt(2 / n) for a truncated normal.
        assert abs(kernel.var() / variance - 1) < 5 * np.sqrt(2 / kernel.size)
        assert np.abs(kernel).max() <= 2 * np.sqrt(variance) / 0.879 * 1.001
        assert not params[layer]["bias"].any()


def test_dropout_drops_its_fraction_in_training_only():
    batch = {"inputs": jnp.ones((64, 10))}
    model = mlp(1, hidden=(512,), dropout=0.25)
    variables = model.init(jax.random.key(0), batch)
    # Each hidden unit is 1 and the output counts them.
    variables["params"]["hidden_0"] = {"kernel": jnp.zeros((10, 512)), "bias": jnp.ones(512)}
    variables["params"]["output"] = {"kernel": jnp.ones((512, 1)), "bias": jnp.zeros(1)}
    kept, _ = model.apply(variables, batch, train=True, rngs={"dropout": jax.random.key(1)})
    assert np.mean(kept) * 0.75 / 512 == pytest.approx(0.75, abs=0.01)
    other, _ = model.apply(variables, batch, train=True, rngs={"dropout": jax.random.key(2)})
    assert not np.array_equal(kept, other)
    evaluated, _ = model.apply(variables, batch, train=False)
    assert (evaluated == 512).all()


def test_the_config_sets_the_options_and_their_ranges():
    schema = MODELS.schema("mlp", Section)
    model = MODELS.build(schema.model_validate({"hidden": [7], "dropout": 0.5}), num_outputs=2)
    params = model.init(jax.random.key(0), {"inputs": jnp.ones((1, 3))})["params"]
    assert params["hidden_0"]["kernel"].shape == (3, 7)
    for wrong in ({"dropout": 1.0}, {"dropout": -0.1}, {"hidden": [0]}, {"hidden": ["wide"]}):
        with pytest.raises(pydantic.ValidationError):
            schema.model_validate(wrong)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_runs_under_strict_promotion(batch, batch_norm):
    model = mlp(3, dropout=0.5, batch_norm=batch_norm)
    rngs = {"dropout": jax.random.key(1)}
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        variables = model.init(jax.random.key(0), batch)
        masked = {**batch, "row_mask": jnp.ones(16)}
        outputs, _ = model.apply(variables, masked, train=True, rngs=rngs)
    assert outputs.dtype == jnp.float32


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_it_computes_in_the_precision_of_parameters_and_inputs(batch, batch_norm, dtype):
    model = mlp(3, dropout=0.5, batch_norm=batch_norm)
    variables = model.init(jax.random.key(0), batch)
    variables["params"] = jax.tree.map(lambda leaf: leaf.astype(dtype), variables["params"])
    outputs, updated = model.apply(
        variables,
        {"inputs": batch["inputs"].astype(dtype)},
        train=True,
        rngs={"dropout": jax.random.key(1)},
    )
    assert outputs.dtype == dtype
    # Running statistics of a tenth of each batch would stand still in half precision.
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(updated))
