"""Logits of PEFT's own adapters here, and of ours there."""

from __future__ import annotations

import copy
import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
pytest.importorskip("transformers", reason="the peers extra installs transformers")
pytest.importorskip("peft", reason="the peers extra installs peft")

from jaxtrain import lora  # noqa: E402
from jaxtrain.models import hf  # noqa: E402
from tests.lora.peft.theirs import (  # noqa: E402
    adapted,
    assert_close,
    attached,
    built,
    our_logits,
    read_here,
    saved,
    their_logits,
)
from tests.lora.small import trained  # noqa: E402

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CASES = {
    "plain": {"target_modules": ["q_proj", "v_proj", "down_proj"]},
    "rslora": {"use_rslora": True, "target_modules": "all-linear"},
    "dora": {"use_dora": True, "target_modules": ALL},
    "patterns": {
        "target_modules": ["q_proj", "up_proj", "o_proj"],
        "rank_pattern": {r"layers\.1\.self_attn\.q_proj": 2, "up_proj": 6},
        "alpha_pattern": {r"^model\.layers\.0\.mlp\.up_proj": 3, "o_proj": 1.5},
    },
    "patterns, rslora, dora": {
        "target_modules": ["q_proj", "up_proj"],
        "rank_pattern": {"up_proj": 6},
        "alpha_pattern": {"q_proj": 1},
        "use_rslora": True,
        "use_dora": True,
    },
    "layers": {"target_modules": ["k_proj", "gate_proj"], "layers_to_transform": [1]},
    "one layer, pattern": {
        "target_modules": ["k_proj"], "layers_to_transform": 0, "layers_pattern": "layers"
    },
    "exclude": {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["0.self_attn.v_proj"]},
    "regex": {"target_modules": r".*\.(1\.self_attn\.[qo]|0\.mlp\.up)_proj"},
    "gaussian": {"init_lora_weights": "gaussian", "lora_dropout": 0.1},
    "head": {"target_modules": ["lm_head", "q_proj"]},
    "embedding": {"target_modules": ["embed_tokens", "v_proj"]},
    "embedding, dora": {"target_modules": ["embed_tokens", "v_proj"], "use_dora": True},
    "tied": {"target_modules": ["embed_tokens", "v_proj"], "ensure_weight_tying": True,
             "rank_pattern": {"embed_tokens": 3, "lm_head": 3}},
}  # fmt: skip
FAMILIES = {
    "llama": ("llama", {}),
    "gemma": ("gemma", {"num_key_value_heads": 1}),
    "gemma, untied": ("gemma", {"tie_word_embeddings": False}),
}
UNTIED = {"head", "embedding", "embedding, dora"}
PAIRS = [
    *(("llama", case) for case in CASES if case != "tied"),
    *(("gemma", case) for case in ("rslora", "dora", "patterns", "tied")),
    *(("gemma, untied", case) for case in sorted(UNTIED)),
]


@pytest.mark.parametrize(("family", "case"), PAIRS)
def test_theirs_here_and_ours_there(theirs, tmp_path, family, case):
    name, options = FAMILIES[family]
    base = theirs(name, **options)
    config, params = read_here(base, tmp_path / "base")
    plain = their_logits(base)
    model = adapted(copy.deepcopy(base), **CASES[case])
    expected = their_logits(model)
    assert np.abs(expected - plain).max() > 0.02 * np.abs(plain).max()
    adapter = lora.load_lora(saved(model, tmp_path / "theirs"), params)
    assert_close(our_logits(config, lora.merge(params, adapter)), expected)
    if case not in UNTIED | {"tied"}:  # the decoder takes a LowRank in the layers alone
        assert_close(our_logits(config, lora.apply(params, adapter)), expected)

    # Written again: with the words of their file, and in our own.
    theirs_said = json.loads((tmp_path / "theirs/adapter_config.json").read_text())
    tensors = load_file(tmp_path / "theirs/adapter_model.safetensors")
    for words, own in (("theirs", adapter), ("ours", dataclasses.replace(adapter, peft=""))):
        path = lora.save_lora(tmp_path / f"again, {words}", own, params=params)
        again = load_file(path / "adapter_model.safetensors")
        assert again.keys() == {key for key in tensors if "lora_" in key}
        for key, tensor in again.items():
            assert tensor.tobytes() == np.ascontiguousarray(tensors[key]).tobytes()
        said = json.loads((path / "adapter_config.json").read_text())
        if words == "theirs":
            assert said == theirs_said
        assert_close(their_logits(attached(copy.deepcopy(base), path)), expected)
        loaded = lora.load_lora(path, params)
        assert loaded.targets == adapter.targets
        assert dataclasses.replace(loaded, peft=adapter.peft).config == adapter.config


OURS = {
    "all": {"targets": "all-linear"},
    "rslora": {"targets": ("q", "down"), "rslora": True},
    "dora": {"targets": ("o", "gate"), "dora": True, "alpha": 3.5},
    "unequal": {
        "targets": r"layers\.1\..*|layers\.0\.mlp\.up",
        "rank_pattern": {"1.attention.q": 2, "down": 3},
        "alpha_pattern": {"0.mlp.up": 3.0},
    },
    "layers": {"targets": ("k", "v"), "layers": (1,)},
    "embedding": {"targets": ("embedding", "q"), "rank_pattern": {"embedding": 2}},
}


@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize("case", OURS)
def test_ours_there(theirs, tmp_path, family, case):
    name, options = FAMILIES[family]
    base = theirs(name, **options)
    config, params = read_here(base, tmp_path / "base")
    adapter = lora.init(jax.random.key(0), params, lora.LoRAConfig(**({"rank": 4} | OURS[case])))
    adapter = trained(adapter)
    path = lora.save_lora(tmp_path / "ours", adapter, params=params, base_model="tiny")
    expected = our_logits(config, lora.merge(params, adapter))
    assert np.abs(expected - their_logits(base)).max() > 0.02 * np.abs(expected).max()
    assert_close(their_logits(attached(copy.deepcopy(base), path)), expected)
    loaded = lora.load_lora(path, params)
    assert loaded.targets == adapter.targets
    for path_, factors in adapter.factors.items():
        for part, value in factors.items():
            np.testing.assert_array_equal(value, loaded.factors[path_][part])


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_pissa_of_peft_is_an_adapter_of_the_base_as_it_was(theirs, tmp_path, options):
    base = theirs("llama")
    config, params = read_here(base, tmp_path / "base")
    targets = ["q_proj", "down_proj"]
    model = built(copy.deepcopy(base), target_modules=targets, init_lora_weights="pissa", **options)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.mul_(1 + 0.3 * torch.randn(parameter.shape))
    expected = their_logits(model.eval())
    adapter = lora.load_lora(saved(model, tmp_path / "theirs"), params)
    assert adapter.config.init == "zero_b"
    assert {rank for target in adapter.targets for rank in target.ranks} == {8}
    assert_close(our_logits(config, lora.merge(params, adapter)), expected)
    path = lora.save_lora(tmp_path / "ours", adapter, params=params)
    assert_close(their_logits(attached(copy.deepcopy(base), path)), expected)


def test_our_pissa_there(theirs, tmp_path):
    base = theirs("llama")
    config, params = read_here(base, tmp_path / "base")
    said = lora.LoRAConfig(
        rank=4, targets=("q", "up"), init="pissa", rslora=True, rank_pattern={"up": 2}
    )
    rest, initial = lora.init_pissa(jax.random.key(0), params, said)
    adapter = dataclasses.replace(initial, factors=jax.tree.map(lambda x: 1.3 * x, initial.factors))
    expected = our_logits(config, lora.merge(rest, adapter))
    path = lora.save_lora(tmp_path / "ours", adapter, params=params, initial=initial)
    assert_close(their_logits(attached(copy.deepcopy(base), path)), expected)


def test_a_merged_model_is_loaded_by_transformers(theirs, tmp_path):
    from transformers import AutoModelForCausalLM

    base = theirs("gemma")
    config, params = read_here(base, tmp_path / "base")
    model = adapted(base, target_modules=ALL, use_dora=True)
    adapter = lora.load_lora(saved(model, tmp_path / "theirs"), params)
    hf.save(tmp_path / "merged", config, lora.merge(params, adapter))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert_close(their_logits(merged), their_logits(model))
    assert_close(their_logits(merged), their_logits(model.merge_and_unload()))
