"""config.json: both spellings, absent keys, and what is switched on."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError, DataNotFoundError
from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling
from jaxtrain.models.hf.config import config_json, parse_config, read_config

GEMMA_2B = {
    "architectures": ["GemmaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 2, "eos_token_id": 1, "head_dim": 256, "hidden_act": "gelu",
    "hidden_activation": None, "hidden_size": 2048, "initializer_range": 0.02,
    "intermediate_size": 16384, "max_position_embeddings": 8192, "model_type": "gemma",
    "num_attention_heads": 8, "num_hidden_layers": 18, "num_key_value_heads": 1, "pad_token_id": 0,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000.0,
    "torch_dtype": "bfloat16", "transformers_version": "4.38.0", "use_cache": True,
    "vocab_size": 256000,
}  # fmt: skip
SCALING = {
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LLAMA_1B = {
    "architectures": ["LlamaForCausalLM"], "attention_bias": False, "head_dim": 64,
    "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192,
    "max_position_embeddings": 131072, "mlp_bias": False, "model_type": "llama",
    "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": SCALING | {"rope_type": "llama3"},
    "rope_theta": 500000.0, "tie_word_embeddings": True, "vocab_size": 128256,
}  # fmt: skip


def without(entries, *keys):
    return {key: value for key, value in entries.items() if key not in keys}


def parse(entries):
    return parse_config(entries, place="config.json")


def test_gemma_2b():
    assert parse(GEMMA_2B) == DecoderConfig.gemma(
        vocab_size=256_000, width=2048, layers=18, heads=8, head_dim=256, hidden=16_384
    )


def test_llama_1b_in_both_spellings():
    expected = DecoderConfig.llama(
        vocab_size=128_256, width=2048, layers=16, heads=32, kv_heads=8, hidden=8192, tied=True,
        rope_theta=5e5, rope_scaling=Llama3Scaling(**SCALING), max_length=131_072,
    )  # fmt: skip
    new = without(LLAMA_1B, "rope_theta", "rope_scaling")
    new |= {"rope_parameters": LLAMA_1B["rope_scaling"] | {"rope_theta": 500000.0}}
    both = LLAMA_1B | {"rope_parameters": new["rope_parameters"]}
    old = LLAMA_1B | {"rope_scaling": SCALING | {"type": "llama3"}}
    for entries in (LLAMA_1B, new, both, old):
        assert parse(entries) == expected


def test_absent_keys_mean_what_they_mean_in_transformers():
    names = ("architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size")
    names += ("num_hidden_layers", "num_attention_heads")
    llama = parse({key: LLAMA_1B[key] for key in names})
    assert (llama.kv_heads, llama.head_dim, llama.tied, llama.max_length) == (32, 64, False, 2048)
    assert (llama.norm_eps, llama.rope_theta, llama.rope_scaling) == (1e-6, 1e4, None)
    gemma = parse({key: GEMMA_2B[key] for key in names} | {"num_attention_heads": 16})
    assert (gemma.kv_heads, gemma.head_dim, gemma.tied, gemma.max_length) == (16, 256, True, 8192)
    assert (gemma.norm_eps, gemma.activation, gemma.rope_theta) == (1e-6, "gelu_tanh", 1e4)
    assert parse(without(GEMMA_2B, "architectures")) == parse(GEMMA_2B)
    assert parse(without(GEMMA_2B, "model_type")) == parse(GEMMA_2B)


@pytest.mark.parametrize("key", ["vocab_size", "hidden_size", "intermediate_size"])
def test_a_size_that_is_absent_is_not_guessed(key):
    with pytest.raises(ConfigError, match=f"config.json: {key}: expected a whole number"):
        parse(without(LLAMA_1B, key))


@pytest.mark.parametrize("key", ["hidden_act", "hidden_activation"])
def test_every_way_to_say_tanh(key):
    for value in (None, "gelu_pytorch_tanh", *(["gelu"] if key == "hidden_act" else [])):
        assert parse(GEMMA_2B | {key: value}).activation == "gelu_tanh"
    assert parse(without(GEMMA_2B, key)).activation == "gelu_tanh"


ROPE = {"rope_type": "default", "rope_theta": 500000.0}
ON = [
    ({"attention_bias": True}, "attention_bias: expected false or null, found True"),
    ({"mlp_bias": True}, "mlp_bias"),
    ({"attention_dropout": 0.1}, "attention_dropout: expected 0 or null, found 0.1"),
    ({"sliding_window": 4096}, "sliding_window: expected null, found 4096"),
    ({"use_sliding_window": True}, "use_sliding_window"),
    ({"layer_types": ["full_attention"]}, "layer_types"),
    ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
    ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
    ({"auto_map": {"AutoModelForCausalLM": "modeling.X"}}, "auto_map"),
    ({"hidden_act": "gelu"}, "hidden_act: expected silu or swish, found 'gelu'"),
    ({"hidden_act": None}, "hidden_act"),
    ({"architectures": ["MistralForCausalLM"]}, "architectures: expected .LlamaForCausalLM. or"),
    ({"architectures": ["Gemma2ForCausalLM"]}, "architectures"),
    ({"architectures": []}, "architectures"),
    ({"model_type": "gemma"}, "model_type: expected llama, found 'gemma'"),
    ({"architectures": None, "model_type": "qwen2"}, "model_type: expected llama or gemma"),
    ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_type: .*found 'yarn'"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type: .*found 'linear'"),
    ({"rope_scaling": {"rope_type": ["llama3"]}}, "rope_scaling: rope_type"),
    ({"rope_scaling": SCALING}, "rope_scaling: factor: expected nothing, with rope_type 'default'"),
    ({"rope_scaling": LLAMA_1B["rope_scaling"] | {"beta": 1}}, "beta: expected nothing"),
    ({"rope_scaling": {"rope_type": "llama3"}}, "rope_scaling: factor: expected a number above 0"),
    ({"rope_scaling": LLAMA_1B["rope_scaling"] | {"low_freq_factor": 9.0}}, "config.json: rope_sc"),
    ({"rope_scaling": "llama3"}, "rope_scaling: expected an object"),
    ({"rope_parameters": ROPE}, "rope_parameters and rope_scaling contradict"),
    ({"rope_scaling": ROPE | {"rope_theta": 1.0}}, "rope_theta: expected 500000, as beside it"),
    ({"rope_scaling": ROPE | {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
    ({"rope_scaling": {"full_attention": ROPE}}, "full_attention: expected nothing"),
    ({"num_key_value_heads": 5}, "config.json: kv_heads: expected a divisor of heads=32"),
    ({"head_dim": 63}, "head_dim: expected an even number"),
    ({"num_hidden_layers": 0}, "num_hidden_layers: expected a whole number from 1, found 0"),
    ({"num_hidden_layers": True}, "num_hidden_layers"),
    ({"hidden_size": "2048"}, "hidden_size"),
    ({"rms_norm_eps": 0}, "rms_norm_eps: expected a number above 0"),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings: expected true or false"),
]


@pytest.mark.parametrize(("changed", "message"), ON)
def test_what_the_decoder_does_not_do_is_refused_by_name(changed, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(LLAMA_1B | changed)
    assert str(caught.value).startswith("config.json: ")


@pytest.mark.parametrize(
    ("key", "value"), [("hidden_act", "relu"), ("hidden_activation", "gelu"), ("head_dim", 7)]
)
def test_what_is_refused_of_a_gemma(key, value):
    with pytest.raises(ConfigError, match=key):
        parse(GEMMA_2B | {key: value})


def test_keys_that_no_model_reads_mean_nothing():
    more = {"unsloth_fixed": True, "_name_or_path": "x", "pretraining_tp": 4, "use_cache": False}
    assert parse(LLAMA_1B | more) == parse(LLAMA_1B)


def test_the_file_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"config\.json: there is no such file"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.json: model_type: expected llama or gemma"):
        read_config(tmp_path)


@pytest.mark.parametrize("entries", [LLAMA_1B, GEMMA_2B])
def test_what_is_written_is_read_as_the_same(entries):
    config = parse(entries)
    written = json.loads(json.dumps(config_json(config, dtype="bfloat16")))
    assert parse(written) == config
    assert written["torch_dtype"] == "bfloat16"


def test_what_no_family_has_is_not_written():
    sizes = {"vocab_size": 16, "width": 12, "layers": 1, "heads": 2}
    for config in (
        DecoderConfig(**(vars(DecoderConfig.llama(**sizes)) | {"embedding_scale": True})),
        DecoderConfig(**(vars(DecoderConfig.gemma(**sizes)) | {"activation": "silu"})),
    ):
        with pytest.raises(ConfigError, match="no model of transformers has norm="):
            config_json(config, dtype="float32")
    odd = DecoderConfig.llama(**sizes | {"heads": 5}, head_dim=4)
    with pytest.raises(ConfigError, match=r"heads: .*wants a divisor of width=12, found 5"):
        config_json(odd, dtype="float32")
