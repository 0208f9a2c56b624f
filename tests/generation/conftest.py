"""Small decoders whose next tokens are not all alike."""

from __future__ import annotations

import jax
import pytest

from jaxtrain.models.decoder import DecoderConfig, initial_params

SIZES = {"vocab_size": 96, "width": 32, "layers": 2, "heads": 4, "max_length": 256}
FAMILIES = {
    "llama": DecoderConfig.llama(**SIZES),
    "llama tied": DecoderConfig.llama(**SIZES, tied=True),
    "llama grouped": DecoderConfig.llama(**SIZES, kv_heads=2),
    "gemma": DecoderConfig.gemma(**SIZES),
    "gemma untied": DecoderConfig.gemma(**SIZES, kv_heads=4, head_dim=6, tied=False),
}


def lively(config, *, seed=0, dtype="float32"):
    """Ten times the usual weights: attention is far from uniform, and tokens do not repeat."""
    params = initial_params(jax.random.key(seed), config, dtype=dtype)
    return jax.tree_util.tree_map_with_path(
        lambda path, x: x if path[-1].key == "scale" else x * 10, params
    )


@pytest.fixture(scope="session")
def llama():
    """llama: (params, config)."""
    return lively(FAMILIES["llama grouped"]), FAMILIES["llama grouped"]


@pytest.fixture(scope="session", params=FAMILIES)
def decoder_of(request):
    """Each family: (params, config)."""
    return lively(FAMILIES[request.param]), FAMILIES[request.param]
