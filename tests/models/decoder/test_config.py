import dataclasses

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling

SIZES = {"vocab_size": 100, "width": 96, "layers": 2, "heads": 6}


def test_families_differ_where_their_papers_do():
    llama, gemma = DecoderConfig.llama(**SIZES), DecoderConfig.gemma(**SIZES)
    assert dataclasses.asdict(llama) == SIZES | {
        "kv_heads": 6,
        "head_dim": 16,
        "hidden": 256,
        "activation": "silu",
        "norm": "llama",
        "embedding_scale": False,
        "tied": False,
        "norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "rope_scaling": None,
        "max_length": 2048,
    }
    assert dataclasses.asdict(gemma) == SIZES | {
        "kv_heads": 1,
        "head_dim": 16,
        "hidden": 768,
        "activation": "gelu_tanh",
        "norm": "gemma",
        "embedding_scale": True,
        "tied": True,
        "norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "rope_scaling": None,
        "max_length": 8192,
    }


@pytest.mark.parametrize(("width", "hidden"), [(96, 256), (384, 1024), (64, 192), (4096, 10_944)])
def test_llamas_feed_forward_is_eight_thirds_of_the_width_rounded_up(width, hidden):
    found = DecoderConfig.llama(vocab_size=9, width=width, layers=1, heads=2).hidden
    assert found == hidden
    assert 0 <= found - 8 * width / 3 < 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kv_heads": 4}, "kv_heads: expected a divisor of heads=6, found 4"),
        ({"head_dim": 7}, "head_dim: expected an even number, .* found 7"),
        ({"heads": 5}, "heads: expected a divisor of width=96, found 5; or set head_dim"),
        ({"heads": 0}, "heads: expected a divisor of width=96, found 0"),
        ({"layers": 0}, "layers: expected more than 0, found 0"),
        ({"norm_eps": 0.0}, "norm_eps: expected more than 0"),
    ],
)
@pytest.mark.parametrize("family", [DecoderConfig.llama, DecoderConfig.gemma])
def test_sizes_that_do_not_go_together_are_named(family, change, message):
    with pytest.raises(ConfigError, match=message):
        family(**(SIZES | change))


def test_scaling_checks_its_own_numbers():
    good = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    assert Llama3Scaling(**good).factor == 8
    with pytest.raises(ConfigError, match=r"low_freq_factor < high_freq_factor, found 4.* and 4"):
        Llama3Scaling(**(good | {"low_freq_factor": 4.0}))
    with pytest.raises(ConfigError, match=r"rope_scaling.factor: expected more than 0"):
        Llama3Scaling(**(good | {"factor": 0.0}))


def test_a_config_is_a_value():
    assert DecoderConfig.llama(**SIZES) == DecoderConfig.llama(**SIZES)
    assert len({DecoderConfig.llama(**SIZES), DecoderConfig.llama(**SIZES)}) == 1
