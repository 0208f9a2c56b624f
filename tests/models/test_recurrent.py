import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import gru, lstm
from jaxtrain.models.gru import GRULayer
from jaxtrain.models.lstm import LSTMLayer
from jaxtrain.models.recurrent import Recurrent, orthogonal_gates

BOTH = pytest.mark.parametrize("make", [lstm, gru])
OPTIONS = {"width": 5, "layers": 2, "bidirectional": True}
LENGTHS = np.array([7, 4, 1, 0])
MASK = jnp.asarray(np.arange(7) < LENGTHS[:, None], jnp.float32)
FEATURES = jax.random.normal(jax.random.key(1), (4, 7, 3))


@pytest.fixture(scope="module", params=["lstm", "gru"])
def run(request):
    """Outputs and gradients of a model, of a batch."""
    model = {"lstm": lstm, "gru": gru}[request.param](3, **OPTIONS, lengths="n")
    batch = {"inputs": FEATURES, "n": jnp.full(4, 7)}
    variables = jax.jit(model.init)(jax.random.key(0), batch)

    @jax.jit
    def both(batch):
        def loss(params, inputs):
            given = {**batch, "inputs": inputs}
            outputs, _ = model.apply({"params": params}, given, train=False)
            return (outputs**2).sum(), outputs

        found = jax.value_and_grad(loss, (0, 1), has_aux=True)(variables["params"], batch["inputs"])
        return found[0][1], found[1]

    return lambda inputs, n: both({"inputs": inputs, "n": jnp.asarray(n)})


def test_padding_changes_no_bit(run):
    outputs, gradients = run(FEATURES, LENGTHS)
    for spoilt in (1e30, jnp.nan, jnp.inf):
        inputs = jnp.where(MASK[..., None] > 0, FEATURES, spoilt)
        same, same_gradients = run(inputs, LENGTHS)
        np.testing.assert_array_equal(outputs, same)
        jax.tree.map(np.testing.assert_array_equal, gradients, same_gradients)
    assert not gradients[1][MASK == 0].any()


@BOTH
def test_padding_may_stand_anywhere_and_be_told_in_three_ways(make):
    model = make(3, width=4, vocabulary=9, embedding=6, padding_token=0, bidirectional=True)
    behind = jnp.array([[3, 8, 2, 0, 0], [1, 2, 3, 4, 5]])
    variables = model.init(jax.random.key(0), {"inputs": behind})
    outputs, _ = model.apply(variables, {"inputs": behind}, train=False)
    for tokens in ([0, 0, 3, 8, 2], [3, 0, 8, 0, 2]):
        other, _ = model.apply(variables, {"inputs": behind.at[0].set(tokens)}, train=False)
        np.testing.assert_allclose(other, outputs, rtol=1e-5, atol=1e-6)
    told = make(3, width=4, vocabulary=9, embedding=6, bidirectional=True)
    nothing, _ = told.apply(variables, {"inputs": behind}, train=False)
    assert not np.allclose(nothing[0], outputs[0], atol=1e-4)
    masked = {"inputs": behind, "mask": jnp.array([[1, 1, 1, 0, 0], [1] * 5])}
    np.testing.assert_array_equal(told.apply(variables, masked, train=False)[0], outputs)
    by_length = make(3, width=4, vocabulary=9, embedding=6, bidirectional=True, lengths="n")
    batch = {"inputs": behind, "n": jnp.array([3, 5])}
    np.testing.assert_array_equal(by_length.apply(variables, batch, train=False)[0], outputs)


@BOTH
def test_the_function_hands_on_its_options(make, monkeypatch):
    module = importlib.import_module(f"jaxtrain.models.{make.__name__}")
    monkeypatch.setattr(module, "from_linen", lambda made, inputs: (made, inputs))
    options = {**OPTIONS, "dropout": 0.3, "vocabulary": 9, "embedding": 6, "padding_token": 2}
    layer = {"lstm": LSTMLayer, "gru": GRULayer}[make.__name__]
    assert make(3, **options, lengths="n") == (Recurrent(3, layer, **options), ["inputs", "n"])
    plain = Recurrent(3, layer, width=128, layers=1, embedding=128)
    assert make(3) == (plain, ["inputs"])


def test_dropout_stands_between_layers_in_training_alone():
    model = lstm(3, width=64, layers=2, dropout=0.5)
    batch = {"inputs": FEATURES}
    variables = jax.jit(model.init)(jax.random.key(0), batch)
    evaluated, _ = model.apply(variables, batch, train=False)

    def trained(variables, key):
        return model.apply(variables, batch, train=True, rngs={"dropout": key})[0]

    first, second = (trained(variables, jax.random.key(key)) for key in (1, 2))
    assert not np.array_equal(first, second)
    assert not np.array_equal(evaluated, first)
    # Nothing is dropped of what the dense layer sees,
    deaf = jax.tree.map(lambda leaf: leaf, variables)
    deaf["params"]["forward_1"]["inputs"]["kernel"] *= 0
    first, second = (trained(deaf, jax.random.key(key)) for key in (1, 2))
    np.testing.assert_array_equal(first, second)
    # nor of the inputs.
    alone = Recurrent(3, LSTMLayer, width=4, layers=1, dropout=0.5)
    made = alone.init(jax.random.key(0), FEATURES, train=False)
    evaluated = alone.apply(made, FEATURES, train=False)
    dropping = alone.apply(made, FEATURES, train=True, rngs={"dropout": jax.random.key(1)})
    np.testing.assert_array_equal(dropping, evaluated)


@BOTH
def test_dropout_with_nothing_between_layers_is_refused(make):
    with pytest.raises(ConfigError, match=r"model.dropout: 0.5 is for .* one layer.*layers=2"):
        make(3, dropout=0.5)


def test_kernels_of_gates_are_orthogonal_each():
    kernel = orthogonal_gates(jax.random.key(0), (6, 24), jnp.float32)
    gates = np.split(np.asarray(kernel), 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, np.eye(6), atol=1e-5)
    assert not np.allclose(gates[0], gates[1])


@BOTH
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_it_computes_in_the_precision_of_parameters_under_strict_promotion(make, dtype):
    model = make(3, width=4, layers=2, dropout=0.5, bidirectional=True)
    batch = {"inputs": FEATURES.astype(dtype), "mask": MASK}
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        variables = model.init(jax.random.key(0), {**batch, "inputs": FEATURES})
        variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
        outputs, _ = model.apply(variables, batch, train=True, rngs={"dropout": jax.random.key(1)})
    assert outputs.dtype == dtype
