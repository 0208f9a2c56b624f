import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig, initial_params, param_shapes

SIZES = {"vocab_size": 50, "width": 24, "layers": 3, "heads": 4, "kv_heads": 2, "head_dim": 10}


def test_the_tree_is_as_stated():
    params = initial_params(jax.random.key(0), DecoderConfig.llama(**SIZES, hidden=40))
    assert jax.tree.map(jnp.shape, params) == {
        "embedding": {"embedding": (50, 24)},
        "layers": {
            "attention": {
                "norm": {"scale": (3, 24)},
                "q": {"kernel": (3, 24, 40)},
                "k": {"kernel": (3, 24, 20)},
                "v": {"kernel": (3, 24, 20)},
                "o": {"kernel": (3, 40, 24)},
            },
            "mlp": {
                "norm": {"scale": (3, 24)},
                "gate": {"kernel": (3, 24, 40)},
                "up": {"kernel": (3, 24, 40)},
                "down": {"kernel": (3, 40, 24)},
            },
        },
        "norm": {"scale": (24,)},
        "head": {"kernel": (24, 50)},
    }
    assert "head" not in param_shapes(DecoderConfig.gemma(**SIZES))


def count(config):
    shapes = jax.eval_shape(lambda: initial_params(jax.random.key(0), config))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_real_models_have_their_number_of_parameters():
    llama = DecoderConfig.llama(
        vocab_size=128_256, width=2048, layers=16, heads=32, kv_heads=8, hidden=8192, tied=True
    )
    gemma = DecoderConfig.gemma(vocab_size=256_000, width=2048, layers=18, heads=8, head_dim=256)
    assert count(llama) == 1_235_814_400
    assert count(gemma) == 2_506_172_416


@pytest.mark.parametrize(("family", "scale"), [("llama", 1.0), ("gemma", 0.0)])
def test_numbers_are_as_stated(family, scale):
    config = getattr(DecoderConfig, family)(vocab_size=500, width=64, layers=2, heads=4)
    params = initial_params(jax.random.key(1), config)
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        numbers = np.asarray(leaf)
        if path[-1].key == "scale":
            assert (numbers == scale).all()
        else:
            assert abs(numbers.mean()) < 5 * 0.02 / np.sqrt(numbers.size)
            assert abs(numbers.std() / 0.02 - 1) < 5 / np.sqrt(2 * numbers.size)
    kernels = params["layers"]["attention"]
    assert not np.array_equal(kernels["q"]["kernel"], kernels["o"]["kernel"])
    assert not np.array_equal(kernels["q"]["kernel"][0], kernels["q"]["kernel"][1])


def test_narrow_parameters_are_the_wide_ones_rounded():
    config = DecoderConfig.llama(**SIZES)
    wide = initial_params(jax.random.key(2), config)
    narrow = initial_params(jax.random.key(2), config, dtype="bfloat16")
    jax.tree.map(
        lambda w, n: np.testing.assert_array_equal(w.astype(jnp.bfloat16), n), wide, narrow
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(narrow)} == {jnp.dtype("bfloat16")}
