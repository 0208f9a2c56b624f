"""config.json of transformers, of version 4 and of 5, and a `DecoderConfig`: one from the other.

    config = read_config(Path("gemma-2b"))
    config_json(config, dtype="bfloat16")            # what transformers 4 and 5 read

Absent keys mean what they mean in transformers. What is switched on and the decoder does not do is
refused by name. Keys that neither family's model reads mean nothing there, and nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.errors import ConfigError
from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling
from jaxtrain.models.hf.entries import Entries
from jaxtrain.models.hf.strict_json import read_object

NAME = "config.json"

_ARCHITECTURES = {"llama": "LlamaForCausalLM", "gemma": "GemmaForCausalLM"}

# What a key may hold, where it is there: with anything else the model would be another one.
_OFF: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "attention_dropout": (0, None),
    "sliding_window": (None,),
    "use_sliding_window": (False, None),
    "layer_types": (None,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "partial_rotary_factor": (1, None),
    "use_bidirectional_attention": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "quantization_config": (None,),
    "auto_map": (None,),
}
_ACTIVATIONS: dict[str, dict[str, tuple[Any, ...]]] = {
    "llama": {"hidden_act": ("silu", "swish")},
    # "gelu" is what the first files say, and the tanh form is what the models were trained with.
    "gemma": {
        "hidden_act": ("gelu_pytorch_tanh", "gelu", None),
        "hidden_activation": ("gelu_pytorch_tanh", None),
    },
}
_ORIGINAL = "original_max_position_embeddings"
_SCALING = ("factor", "low_freq_factor", "high_freq_factor", _ORIGINAL)
_THETA = 10_000.0


def read_config(directory: Path) -> DecoderConfig:
    """What `config.json` of a directory describes.

    Raises:
        DataNotFoundError: there is none.
        ConfigError: it is broken, of another model, or asks for what the decoder does not do.
    """
    path = directory / NAME
    return parse_config(read_object(path, error=ConfigError), place=str(path))


def parse_config(entries: Mapping[str, Any], *, place: str) -> DecoderConfig:
    """What the entries of a `config.json` describe; `place` begins the messages."""
    given = Entries(entries, place)
    family = _family(given)
    for key, allowed in (_OFF | _ACTIVATIONS[family]).items():
        given.refuse_unless(key, allowed)
    width, heads = given.size("hidden_size"), given.size("num_attention_heads")
    llama = family == "llama"
    # 16 and 256 are Gemma's defaults in transformers, for all sizes of it.
    kv_heads = given.size("num_key_value_heads", heads if llama else 16)
    head_dim = given.size("head_dim", max(width // heads, 1) if llama else 256)
    max_length = given.size("max_position_embeddings", 2048 if llama else 8192)
    make = DecoderConfig.llama if llama else DecoderConfig.gemma
    try:
        rope_theta, rope_scaling = _rope(given, max_length)
        return make(
            vocab_size=given.size("vocab_size"),
            width=width,
            layers=given.size("num_hidden_layers"),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            hidden=given.size("intermediate_size"),
            tied=given.flag("tie_word_embeddings", not llama),
            norm_eps=given.number("rms_norm_eps", 1e-6),
            rope_theta=rope_theta,
            rope_scaling=rope_scaling,
            max_length=max_length,
        )
    except ConfigError as error:
        message = str(error)
        raise ConfigError(message if message.startswith(place) else f"{place}: {error}") from None


def config_json(config: DecoderConfig, *, dtype: str) -> dict[str, Any]:
    """The entries of a `config.json`, in the spelling of transformers 4, which 5 reads as well.

    Raises:
        ConfigError: no family of transformers is like this.
    """
    family = _family_of(config)
    if config.width % config.heads:
        raise ConfigError(
            f"heads: transformers' {_ARCHITECTURES[family]} wants a divisor of "
            f"width={config.width}, found {config.heads}"
        )
    activation = {"silu": "silu", "gelu_tanh": "gelu_pytorch_tanh"}[config.activation]
    scaling = config.rope_scaling
    entries: dict[str, Any] = {
        "architectures": [_ARCHITECTURES[family]],
        "model_type": family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": activation,
        "max_position_embeddings": config.max_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": scaling
        and {"rope_type": "llama3"} | {key: getattr(scaling, key) for key in _SCALING},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": config.tied,
        "torch_dtype": dtype,
    }
    entries |= {"mlp_bias": False} if family == "llama" else {"hidden_activation": activation}
    return entries


def _family(given: Entries) -> str:
    named = given.entries.get("architectures")
    if named is None:
        kind = given.entries.get("model_type")
        if isinstance(kind, str) and kind in _ARCHITECTURES:
            return kind
        raise given.wrong("model_type", "llama or gemma", kind)
    for family, architecture in _ARCHITECTURES.items():
        if named == [architecture]:
            if given.entries.get("model_type", family) != family:
                raise given.wrong("model_type", family, given.entries["model_type"])
            return family
    raise given.wrong(
        "architectures", " or ".join(f"[{a}]" for a in _ARCHITECTURES.values()), named
    )


def _family_of(config: DecoderConfig) -> str:
    traits = (config.norm, config.activation, config.embedding_scale)
    families = {("llama", "silu", False): "llama", ("gemma", "gelu_tanh", True): "gemma"}
    if traits not in families:
        raise ConfigError(
            "no model of transformers has norm={!r}, activation={!r} and embedding_scale={!r} "
            "together; expected those of a Llama or of a Gemma".format(*traits)
        )
    return families[traits]


def _rope(given: Entries, max_length: int) -> tuple[float, Llama3Scaling | None]:
    """The base of the wavelengths, and how they are stretched, from either spelling."""
    read = [
        _rope_entries(key, given, max_length)
        for key in ("rope_parameters", "rope_scaling")
        if given.entries.get(key) is not None
    ]
    if len(read) == 2 and read[0] != read[1]:
        raise ConfigError(
            f"{given.place}: rope_parameters and rope_scaling contradict each other; leave one of "
            "them"
        )
    return read[0] if read else (given.number("rope_theta", _THETA), None)


def _rope_entries(key: str, around: Entries, max_length: int) -> tuple[float, Llama3Scaling | None]:
    entries = around.entries[key]
    if not isinstance(entries, dict):
        raise around.wrong(key, "an object", entries)
    given = Entries(entries, f"{around.place}: {key}")
    kind = entries.get("rope_type", entries.get("type", "default"))
    if kind not in ("default", "llama3"):
        raise given.wrong("rope_type", "default or llama3", kind)
    given.refuse_unless("partial_rotary_factor", (1, None))
    known = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
    for other in sorted(entries.keys() - known - set(_SCALING if kind == "llama3" else ())):
        raise given.wrong(other, f"nothing, with rope_type {kind!r}", entries[other])
    beside = around.number("rope_theta", _THETA)
    theta = given.number("rope_theta", beside)
    if theta != beside and around.entries.get("rope_theta") is not None:
        raise given.wrong("rope_theta", f"{beside:g}, as beside it", theta)
    if kind == "default":
        return theta, None
    # Where it is absent, transformers takes the length of the model.
    original = around.size(_ORIGINAL, max_length)
    return theta, Llama3Scaling(
        factor=given.number("factor"),
        low_freq_factor=given.number("low_freq_factor"),
        high_freq_factor=given.number("high_freq_factor"),
        original_max_position_embeddings=given.size(_ORIGINAL, original),
    )
