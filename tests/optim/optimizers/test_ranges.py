import jax
import jax.numpy as jnp
import numpy as np
import optax
import pydantic
import pytest

from jaxtrain.config import OptimizerSection
from jaxtrain.optim import OPTIMIZERS, learning_rate
from tests.optim.parity import built


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("adamw", {"b1": 1.0}),
        ("adamw", {"b2": -0.1}),
        ("adamw", {"eps": 0.0}),
        ("adamw", {"weight_decay": -1e-3}),
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"weight_decay": -1.0}),
        ("sgd", {"weight_decay": 11.0}),
        ("sgd", {"nesterov": "often"}),
        ("sgd", {"dampening": 1.0}),
        ("adam", {"amsgrad": 2}),
        ("nadam", {"momentum_decay": -0.1}),
        ("adagrad", {"initial_sum": -0.1}),
        ("adafactor", {"clipping": 0.0}),
        ("adafactor", {"smallest_factored": 1}),
        ("muon", {"iterations": 0}),
        ("muon", {"scaling": "spectral"}),
        ("muon", {"adam_scale": 0.0}),
        ("prodigy", {"first_distance": 0.0}),
        ("prodigy", {"b3": 1.0}),
        ("schedule_free_sgd", {"b1": 0.0}),
        ("schedule_free_adamw", {"b1": 1.0}),
        ("schedule_free_adamw", {"b2": 1.0}),
    ],
)
def test_options_out_of_range_are_refused(name, wrong):
    with pytest.raises(pydantic.ValidationError):
        OPTIMIZERS.schema(name, OptimizerSection).model_validate({"name": name, **wrong})


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_of_each_the_rate_is_found_and_can_be_changed(name):
    """And a state that is a pytree of the same form after an update as before, in every dtype."""
    tx = built(name, 0.125, {})
    narrow = jnp.float32 if "free" in name else jnp.bfloat16  # which an average of many refuses
    params = {"kernel": jnp.ones((3, 2), narrow), "bias": jnp.ones(2)}
    opt_state = tx.init(params)
    assert float(learning_rate(opt_state)) == 0.125
    updates, after = tx.update(params, opt_state, params)
    assert float(learning_rate(after)) == 0.125
    assert jax.tree.structure(after) == jax.tree.structure(opt_state)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (opt_state, after)]
    assert shapes[0] == shapes[1]
    opt_state.hyperparams["learning_rate"] = jnp.float32(0.0)
    still, _ = tx.update(params, opt_state, params)
    assert all(not leaf.any() for leaf in jax.tree.leaves(still))
    assert all(leaf.any() for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_of_each_the_state_is_laid_out_like_given_parameters(name):
    """As of a run that starts from files: moments lie where their parameters do."""
    tx = built(name, 0.1, {})
    params = {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)}
    opt_state = tx.init(params)
    pairs = []
    optax.tree.map_params(
        tx, lambda leaf, param: pairs.append((leaf, param)) or leaf, opt_state, params
    )
    found = [leaf.shape for leaf, param in pairs if leaf.shape == param.shape]
    like_params = [
        leaf.shape for leaf in jax.tree.leaves(opt_state) if leaf.shape in ((3, 2), (2,))
    ]
    assert sorted(found) == sorted(like_params)
