import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models import gru

LENGTHS = np.array([6, 2, 5, 1])


def test_it_is_torchs():
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.sequences import RecurrentNet, compare, params_of_recurrent

    inputs = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
    theirs = RecurrentNet("gru", 3, 5, 2, 3, bidirectional=True)
    model = gru(3, width=5, layers=2, bidirectional=True)
    compare(model, theirs, params_of_recurrent, inputs, LENGTHS)


def test_it_is_as_large_as_torchs_but_for_the_folded_biases():
    torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    with torch.device("meta"):
        layers = torch.nn.GRU(3, 50, 2)
    theirs = sum(p.numel() for p in layers.parameters()) + (50 * 7 + 7)
    batch = {"inputs": jnp.zeros((1, 2, 3))}
    model = gru(7, width=50, layers=2)
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)["params"]
    folded = 2 * 2 * 50  # of each layer, one bias of the gates r and z
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == theirs - folded


def test_initialisation_is_as_stated():
    batch = {"inputs": jnp.zeros((1, 2, 30))}
    layer = gru(3, width=40).init(jax.random.key(0), batch)["params"]["forward_0"]
    kernel = np.asarray(layer["inputs"]["kernel"])
    assert abs(kernel.var() * 30 - 1) < 5 * np.sqrt(2 / kernel.size)
    assert not layer["inputs"]["bias"].any()
    assert not layer["bias"].any()
    new = np.asarray(layer["kernel"])[:, 80:]
    np.testing.assert_allclose(new @ new.T, np.eye(40), atol=1e-5)
