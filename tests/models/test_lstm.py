import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models import lstm

LENGTHS = np.array([6, 2, 5, 1])


def test_it_is_torchs_on_features():
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.sequences import RecurrentNet, compare, params_of_recurrent

    inputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    theirs = RecurrentNet("lstm", 3, 5, 2, 3, bidirectional=True)
    model = lstm(3, width=5, layers=2, bidirectional=True)
    compare(model, theirs, params_of_recurrent, inputs, LENGTHS)


def test_it_is_torchs_on_tokens():
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.sequences import RecurrentNet, compare, params_of_recurrent

    inputs = np.random.default_rng(0).integers(0, 9, (4, 6), dtype=np.int32)
    theirs = RecurrentNet("lstm", 4, 5, 1, 3, bidirectional=False, vocabulary=9)
    model = lstm(3, width=5, vocabulary=9, embedding=4)
    compare(model, theirs, params_of_recurrent, inputs, LENGTHS)


def test_it_is_as_large_as_torchs_but_for_the_folded_biases():
    torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    with torch.device("meta"):
        layers = torch.nn.LSTM(3, 50, 2, bidirectional=True)
    theirs = sum(p.numel() for p in layers.parameters()) + (2 * 50 * 7 + 7)
    model = lstm(7, width=50, layers=2, bidirectional=True)
    batch = {"inputs": jnp.zeros((1, 2, 3))}
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)["params"]
    folded = 2 * 2 * 4 * 50  # of each layer and direction, one bias of four gates
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == theirs - folded


def test_initialisation_is_as_stated():
    batch = {"inputs": jnp.zeros((1, 2, 30))}
    params = lstm(3, width=40).init(jax.random.key(0), batch)["params"]
    layer = params["forward_0"]
    kernel = np.asarray(layer["inputs"]["kernel"])
    assert abs(kernel.var() * 30 - 1) < 5 * np.sqrt(2 / kernel.size)
    bias = np.asarray(layer["inputs"]["bias"]).reshape(4, 40)
    assert bias.mean(axis=1).tolist() == [0, 1, 0, 0]
    assert bias.var() == 3 / 16
    forget = np.asarray(layer["kernel"])[:, 40:80]
    np.testing.assert_allclose(forget @ forget.T, np.eye(40), atol=1e-5)
