"""Logits of transformers' own models with random weights, in float32 on the CPU.

The weights go by hand from their names to ours, so that neither reader nor writer of files is in
between.
"""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling, decoder

pytest.importorskip("torch", reason="the peers extra installs PyTorch")
pytest.importorskip("transformers", reason="the peers extra installs transformers")

SCALING = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
KERNELS = {
    "attention": {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj"}
    | {"o": "self_attn.o_proj"},
    "mlp": {"gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"},
}
NORMS = {"attention": "input_layernorm", "mlp": "post_attention_layernorm"}

CASES = {
    "llama": {"family": "llama"},
    "llama tied": {"family": "llama", "tied": True},
    "llama grouped": {"family": "llama", "kv_heads": 2},
    "llama multi-query": {"family": "llama", "kv_heads": 1},
    "llama 3": {"family": "llama", "kv_heads": 2, "rope_scaling": SCALING, "rope_theta": 5e5},
    "llama of odd sizes": {
        "family": "llama",
        "width": 35,
        "heads": 5,
        "kv_heads": 5,
        "head_dim": 14,
        "hidden": 77,
        "vocab_size": 101,
        "layers": 3,
    },
    "llama of 9 heads, 3 for keys": {
        "family": "llama",
        "width": 45,
        "heads": 9,
        "kv_heads": 3,
        "head_dim": 6,
    },
    "gemma": {"family": "gemma"},
    "gemma untied": {"family": "gemma", "tied": False},
    "gemma grouped": {"family": "gemma", "kv_heads": 2},
    "gemma of odd sizes": {
        "family": "gemma",
        "width": 39,
        "heads": 3,
        "kv_heads": 3,
        "head_dim": 10,
        "hidden": 51,
    },
}


def make_config(family, *, rope_scaling=None, **sizes):
    sizes = {"vocab_size": 96, "width": 32, "layers": 2, "heads": 4, "max_length": 256} | sizes
    scaling = rope_scaling and Llama3Scaling(**rope_scaling)
    return getattr(DecoderConfig, family)(**sizes, rope_scaling=scaling)


def their_model(family, config):
    import torch
    import transformers

    kinds = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "gemma": (transformers.GemmaConfig, transformers.GemmaForCausalLM),
    }
    make, build = kinds[family]
    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {"rope_type": "llama3"} | SCALING
    torch.manual_seed(0)
    theirs = build(
        make(
            vocab_size=config.vocab_size,
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            head_dim=config.head_dim,
            max_position_embeddings=config.max_length,
            rms_norm_eps=config.norm_eps,
            tie_word_embeddings=config.tied,
            rope_parameters=rope,
            # Larger than usual, so that attention is not nearly uniform.
            initializer_range=0.2,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    with torch.no_grad():  # norms as they are after training, not at their start
        for name, weight in theirs.named_parameters():
            if "norm" in name:
                weight += 0.3 * torch.randn_like(weight)
    return theirs


def our_params(theirs, config):
    found = {name: weight.numpy() for name, weight in theirs.state_dict().items()}
    used = set()

    def take(name):
        used.add(name)
        return found[name]

    def stacked(name):
        return np.stack([take(f"model.layers.{i}.{name}.weight") for i in range(config.layers)])

    params = {
        "embedding": {"embedding": take("model.embed_tokens.weight")},
        "layers": {
            part: {name: {"kernel": stacked(of).swapaxes(1, 2)} for name, of in kernels.items()}
            | {"norm": {"scale": stacked(NORMS[part])}}
            for part, kernels in KERNELS.items()
        },
        "norm": {"scale": take("model.norm.weight")},
    }
    if not config.tied:
        params["head"] = {"kernel": take("lm_head.weight").T}
    assert found.keys() - used <= ({"lm_head.weight"} if config.tied else set())
    return jax.tree.map(jnp.asarray, params)


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case):
    import torch

    options = dict(CASES[case])
    family = options.pop("family")
    config = make_config(family, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = their_model(family, config)
        tokens = np.random.default_rng(1).integers(0, config.vocab_size, (2, 150), dtype=np.int32)
        with torch.no_grad():
            expected = theirs(torch.tensor(tokens, dtype=torch.int64)).logits.numpy()
    params = our_params(theirs, config)
    for form, attention in (("scan", "tiled"), ("unroll", "xla")):
        model = decoder(config, form=form, attention=attention)
        outputs, _ = jax.jit(lambda p, t, model=model: model.apply(p, t, train=False))(
            {"params": params}, {"inputs": tokens}
        )
        error = np.abs(outputs["logits"] - expected).max() / np.abs(expected).max()
        assert error < 1e-5, (form, attention, error)  # what is promised is 1e-4
