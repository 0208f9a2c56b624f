"""Tiny models of transformers with random weights, and directories of safetensors made by hand."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.models.hf.names import leaves
from tests.models.hf.files import header_of, write_file


@pytest.fixture(scope="session")
def theirs():
    """theirs("llama", hidden_size=...): a model of transformers; skips where there is none."""
    torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    transformers = pytest.importorskip(
        "transformers", reason="the peers extra installs transformers"
    )

    def build(family, *, seed=0, dtype="float32", **options):
        made = {"llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM)}
        made["gemma"] = (transformers.GemmaConfig, transformers.GemmaForCausalLM)
        make, build = made[family]
        sizes = {
            "vocab_size": 96,
            "hidden_size": 32,
            "intermediate_size": 88,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 256,
            # Larger than usual, so that attention is not nearly uniform.
            "initializer_range": 0.2,
            "pad_token_id": None,
            "bos_token_id": None,
            "eos_token_id": None,
        }
        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = build(make(**(sizes | options))).eval()
        with torch.no_grad():  # norms as they are after training, not at their start
            for name, weight in model.named_parameters():
                if "norm" in name:
                    weight.add_(0.3 * torch.randn(weight.shape))
        return model.to(getattr(torch, dtype))

    return build


@pytest.fixture(scope="session")
def tiny():
    """Config, entries of config.json and tensors of a Llama of nonsense."""
    config = DecoderConfig.llama(
        vocab_size=11, width=8, layers=2, heads=2, kv_heads=1, hidden=12, max_length=64
    )
    entries = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 11,
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
    }
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(size=leaf.tensor_shape(config)).astype(np.float32)
        for leaf in leaves(config)
        for name in leaf.names(config)
    }
    return config, entries, tensors


@pytest.fixture
def make_directory(tiny, tmp_path):
    """make_directory(entries=..., tensors=...): what is not given is as it should be."""

    def make(*, entries=None, tensors=None, name="model"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(tiny[1] if entries is None else entries))
        tensors = tiny[2] if tensors is None else tensors
        body = b"".join(tensor.tobytes() for tensor in tensors.values())
        write_file(directory / "model.safetensors", header_of(tensors), body)
        return directory

    return make
