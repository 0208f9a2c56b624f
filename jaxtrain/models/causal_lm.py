"""The decoder as a config names it.

model: {name: decoder, family: llama, width: 64, layers: 4, heads: 8, kv_heads: 4}
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import pydantic

from jaxtrain.errors import ConfigError
from jaxtrain.models.attention import Requested
from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling, decoder
from jaxtrain.models.decoder.remat import Remat
from jaxtrain.models.decoder.stack import Form
from jaxtrain.models.model import Model
from jaxtrain.models.registry import MODELS

_SIZES = (
    "family",
    "width",
    "layers",
    "heads",
    "kv_heads",
    "head_dim",
    "hidden",
    "tied",
    "norm_eps",
    "rope_theta",
    "rope_scaling",
    "max_length",
    "vocab_size",
)

Size: TypeAlias = Annotated[int, pydantic.Field(ge=1)]
Positive: TypeAlias = Annotated[float, pydantic.Field(gt=0)]


@MODELS.register("decoder")
def causal_lm(
    num_outputs: int,
    *,
    width: Size,
    layers: Size,
    heads: Size,
    family: Literal["llama", "gemma"] = "llama",
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    hidden: Size | None = None,
    tied: bool | None = None,
    norm_eps: Positive | None = None,
    rope_theta: Positive | None = None,
    rope_scaling: Llama3Scaling | None = None,
    max_length: Size | None = None,
    vocab_size: Size | None = None,
    form: Form = "scan",
    remat: Remat = "none",
    attention: Requested = "auto",
    param_dtype: Literal["float32", "bfloat16"] = "float32",
) -> Model:
    """A language model on tokens, of the Llama or the Gemma family.

    Args:
        num_outputs: the size of the vocabulary.
        width: of the hidden states.
        layers: how many.
        heads: query heads.
        family: whose norms, activation, embedding and defaults.
        kv_heads: key/value heads, a divisor of heads; by default all of them (llama) or 1 (gemma).
        head_dim: the size of a head; by default width / heads.
        hidden: the width of the feed-forward; by default 8/3 of the width (llama), or 8 times it
            (gemma).
        tied: whether the head is the embedding; by default not (llama), or so (gemma).
        norm_eps: what is added to the mean square; by default 1e-5 (llama) or 1e-6 (gemma).
        rope_theta: the base of the wavelengths of rotary positions; by default 10000.
        rope_scaling: how Llama 3 stretches them: factor, low_freq_factor, high_freq_factor and
            original_max_position_embeddings.
        max_length: the longest text meant; by default 2048 (llama) or 8192 (gemma).
        vocab_size: tokens that the model has; by default as many as the tokenizer, and no fewer.
        form: a loop over the layers (scan), or all of them written out (unroll).
        remat: what a layer keeps for the backward pass; none keeps all.
        attention: which kernel; auto is a rule that the plan shows.
        param_dtype: what the parameters are kept in.
    """
    config = _sizes(
        num_outputs,
        family=family,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=hidden,
        tied=tied,
        norm_eps=norm_eps,
        rope_theta=rope_theta,
        rope_scaling=rope_scaling,
        max_length=max_length,
        vocab_size=vocab_size,
    )
    return decoder(config, form=form, remat=remat, attention=attention, param_dtype=param_dtype)


def config_of(section: Any, num_outputs: int) -> DecoderConfig:
    """The sizes of the decoder that a config's `model` section names.

    Args:
        section: of the component `decoder`, checked.
        num_outputs: how many tokens the tokenizer has.

    Raises:
        ConfigError: sizes that don't go together.
    """
    return _sizes(num_outputs, **{name: getattr(section, name) for name in _SIZES})


def _sizes(num_outputs: int, *, family: str, vocab_size: int | None, **given: Any) -> DecoderConfig:
    if vocab_size is not None and vocab_size < num_outputs:
        raise ConfigError(
            f"model.vocab_size: expected at least {num_outputs}, as many tokens as the tokenizer "
            f"has, found {vocab_size}"
        )
    constructor: Any = {"llama": DecoderConfig.llama, "gemma": DecoderConfig.gemma}[family]
    config: DecoderConfig = constructor(
        vocab_size=vocab_size or num_outputs,
        **{name: value for name, value in given.items() if value is not None},
    )
    return config
