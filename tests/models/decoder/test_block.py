import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.models.decoder.block import Place, attend, feed_forward
from jaxtrain.models.decoder.rope import rotation

SIZES = {"vocab_size": 9, "width": 12, "layers": 1, "heads": 2, "hidden": 20}


def draw(*shape):
    return jax.random.normal(jax.random.key(sum(shape)), shape)


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_the_feed_forward_is_the_formula(family):
    config = getattr(DecoderConfig, family)(**SIZES)
    gate, up, down = draw(12, 20), draw(12, 20) + 1, draw(20, 12)
    # A scale that is the identity, so that the norm is only the division.
    scale = jnp.zeros(12) if family == "gemma" else jnp.ones(12)
    hidden = draw(7, 12)
    found = feed_forward(
        {
            "norm": {"scale": scale},
            "gate": {"kernel": gate},
            "up": {"kernel": up},
            "down": {"kernel": down},
        },
        hidden,
        config,
    )
    x = np.asarray(hidden, np.float64)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + config.norm_eps)
    g = x @ np.asarray(gate, np.float64)
    if family == "llama":
        g = g / (1 + np.exp(-g))
    else:
        g = 0.5 * g * (1 + np.tanh(np.sqrt(2 / np.pi) * (g + 0.044715 * g**3)))
    np.testing.assert_allclose(found, (g * (x @ up)) @ down, rtol=1e-4, atol=1e-4)


def test_a_token_alone_gets_its_own_value():
    config = DecoderConfig.llama(**SIZES)
    place = Place(*rotation(jnp.zeros((5, 1), jnp.int32), config), None, None)
    params = {name: {"kernel": draw(12, 12) + i} for i, name in enumerate("qkvo")}
    params["norm"] = {"scale": jnp.ones(12)}
    hidden = draw(5, 12)
    found, cache = attend(params, hidden, place, config, implementation="xla")
    normal = hidden / jnp.sqrt((hidden**2).mean(-1, keepdims=True) + config.norm_eps)
    expected = normal @ params["v"]["kernel"] @ params["o"]["kernel"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert cache is None
