"""The decoder as a config names it.

    model: {name: decoder, family: llama, width: 64, layers: 4, heads: 8, kv_heads: 4}
    model: {name: decoder, weights: Llama-3.2-1B}       # the sizes are those of the files

The config of a run says all sizes: what it leaves out is set when it is checked, from the files. So
they are read when a run begins, and by nobody who goes on with it or uses it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import pydantic

from jaxtrain.errors import ConfigError, DataNotFoundError, OptionsError
from jaxtrain.models import decoder_files
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

_REQUIRED = ("width", "layers", "heads")
_MISSING = (
    "missing; expected a whole number of at least 1, or model.weights, whose files would say it"
)

Size: TypeAlias = Annotated[int, pydantic.Field(ge=1)]
Positive: TypeAlias = Annotated[float, pydantic.Field(gt=0)]
# Two ways to write one path would be two runs.
Files: TypeAlias = Annotated[str, pydantic.AfterValidator(lambda path: path.rstrip("/") or path)]


def fill(options: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that a config leaves out, of the files that its `weights` names.

    Where none is left out the files are not looked at, and need not be there. `rope_scaling: null`
    leaves out nothing: it is what a config says of a model without.

    Args:
        options: the `model` section as it was written.

    Raises:
        OptionsError: a size is missing, or another one than that of the files; or they are missing,
            or a model of another kind.
        DataError: they are broken.
    """
    path = options.get("weights")
    if path is None:
        missing = [name for name in _REQUIRED if options.get(name) is None]
        if missing:
            raise OptionsError(dict.fromkeys(missing, _MISSING))
        return {}
    said = {
        name: options[name]
        for name in _SIZES
        if options.get(name) is not None or (name == "rope_scaling" and name in options)
    }
    if not isinstance(path, str) or not set(_SIZES) - said.keys():
        return {}  # of another type than text, the schema refuses it
    try:
        found = _sizes_of(decoder_files.read_config(path))
    except DataNotFoundError as error:
        hint = (
            "set model.weights to where they lie; a run that was begun goes on without: give its "
            "directory, not the config"
        )
        raise OptionsError({"weights": f"{error}; {hint}"}) from None
    except ConfigError as error:
        raise OptionsError({"weights": str(error)}) from None
    if other := _other_sizes(said, found, path):
        raise OptionsError(other)
    return found


@MODELS.register("decoder", complete=fill)
def causal_lm(
    num_outputs: int,
    *,
    weights: Files | None = None,
    width: Size | None = None,
    layers: Size | None = None,
    heads: Size | None = None,
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
        weights: what the parameters are when a run begins: a directory of Hugging Face
            (config.json, safetensors) or a .bin of llama2.c, relative to the working directory. All
            sizes may be left out then; what is not has to be that of the files. Who goes on with a
            run, or uses it, does not read them. The path as it is written, but for a slash at its
            end, is part of what the run is: written otherwise, it is another run.
        width: of the hidden states; required without weights.
        layers: how many, likewise.
        heads: query heads, likewise.
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
        vocab_size: tokens that the model has; by default as many as the tokenizer (with weights as
            they have), and no fewer.
        form: a loop over the layers (scan), or all of them written out (unroll).
        remat: what a layer keeps for the backward pass; none keeps all.
        attention: which kernel; auto is a rule that the plan shows.
        param_dtype: what the parameters are kept in, and trained in; weights of another dtype are
            cast to it when they are read.
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
    model = decoder(config, form=form, remat=remat, attention=attention, param_dtype=param_dtype)
    if weights is None:
        return model

    def refuse_others() -> None:
        found = _sizes_of(decoder_files.read_config(weights))
        if other := _other_sizes(_sizes_of(config), found, weights):
            raise ConfigError("\n".join(f"model.{key}: {text}" for key, text in other.items()))

    def load() -> dict[str, Any]:
        refuse_others()
        return decoder_files.load(weights, dtype=param_dtype)[1]

    def load_on(shardings: Any) -> dict[str, Any]:
        refuse_others()
        return decoder_files.load(weights, dtype=param_dtype, sharding=shardings)[1]

    return dataclasses.replace(
        model,
        load=load,
        load_on=load_on,
        digests=lambda: decoder_files.digests(weights),
        refuse_others=refuse_others,
    )


def config_of(section: Any, num_outputs: int) -> DecoderConfig:
    """The sizes of the decoder that a config's `model` section names.

    Args:
        section: of the component `decoder`, checked.
        num_outputs: how many tokens the tokenizer has.

    Raises:
        ConfigError: sizes that don't go together.
    """
    return _sizes(num_outputs, **{name: getattr(section, name) for name in _SIZES})


def max_length_of(section: Any, num_outputs: int) -> int | None:
    """How many tokens the model that a config names is meant for; None where that is not known.

    Args:
        section: `model`, checked; of somebody's own model nothing is known.
        num_outputs: how many tokens the tokenizer has.
    """
    return config_of(section, num_outputs).max_length if section.name == "decoder" else None


def _sizes(num_outputs: int, *, family: str, vocab_size: int | None, **given: Any) -> DecoderConfig:
    if missing := [name for name in _REQUIRED if given[name] is None]:
        raise ConfigError("\n".join(f"model.{name}: {_MISSING}" for name in missing))
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


def _sizes_of(config: DecoderConfig) -> dict[str, Any]:
    """The options that mean these sizes, as a config writes them."""
    sizes = dataclasses.asdict(config) | {"family": "gemma" if config.norm == "gemma" else "llama"}
    return {name: sizes[name] for name in _SIZES}


def _other_sizes(given: Mapping[str, Any], found: Mapping[str, Any], path: str) -> dict[str, str]:
    """What is wrong with sizes that are given and are not those that the files say, by key."""
    return {
        name: f"expected {found[name]!r}, as {path} says, found {given[name]!r}"
        for name in _SIZES
        if name in given and given[name] != found[name]
    }
