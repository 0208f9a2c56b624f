"""An adapter as PEFT writes it: adapter_config.json and adapter_model.safetensors.

    save_lora("out/adapter", adapter, params=params, base_model="google/gemma-2b")
    peft.PeftModel.from_pretrained(model, "out/adapter")

What is written is read again before it counts: from the config there must follow the modules, ranks
and alphas of the adapter, and no others.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.files import new_directory
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.merging import kernels_of
from jaxtrain.lora.peft import config as config_file
from jaxtrain.lora.peft.contents import listed
from jaxtrain.lora.peft.description import describe
from jaxtrain.lora.peft.names import (
    EMBEDDING_MODULE,
    HEAD_MODULE,
    Names,
    Naming,
    naming_of,
    naming_of_adapter,
)
from jaxtrain.lora.peft.original import for_original
from jaxtrain.lora.peft.rules import Rules
from jaxtrain.lora.peft.tensors import NAME, Layout, Part, key_of
from jaxtrain.lora.targets import Target, find_kernels
from jaxtrain.models.hf.dtypes import target as target_dtype
from jaxtrain.models.hf.strict_json import parse_object
from jaxtrain.models.hf.tensor_file import write_tensors


def save_lora(
    path: str | os.PathLike[str],
    adapter: Adapter,
    *,
    params: Any = None,
    base_model: str | None = None,
    names: Names = None,
    dtype: Any = None,
    initial: Adapter | None = None,
) -> Path:
    """Write what `load_lora` here and `PeftModel.from_pretrained` of PEFT read.

    Args:
        path: a directory that is not there yet, or is empty. Nothing is ever replaced.
        adapter: the adapter. What an adapter_config.json that it came from says beyond our words
            is written again.
        params: what it was made for, or the shapes of that. Needed where the adapter has the
            embedding or the head of a decoder, or kernels with several axes of inputs.
        base_model: what `base_model_name_or_path` is to say: a directory, or a name on the hub.
        names: names in the file by names here, a mapping or a function. By default our decoder's
            modules are called as in transformers, and any other's as they are here.
        dtype: "float32", "bfloat16" or "float16"; by default each array's own.
        initial: with `init="pissa"`, what `init_pissa` gave. The base has changed then, and what is
            written is an adapter of twice the rank for the base as it was.

    Returns:
        The directory.

    Raises:
        ConfigError: there is something at `path`; the adapter can't be said in PEFT's words, or
            would do something else there; or a number is not finite, or too large for `dtype`.
        CheckpointError: it could not be written, a full disk say. Then nothing is there.
    """
    target = Path(path).absolute()
    chosen = None if dtype is None else target_dtype(dtype)
    if adapter.config.init == "pissa" and initial is None:
        raise ConfigError(
            "initial: this adapter began with a part of the base (pissa), which is a part of it no "
            "more. By itself it would do something else to the base as it was: give initial=, what "
            "init_pissa gave, and it is written for that base; or merge it, and save the model"
        )
    if initial is not None:
        adapter = for_original(adapter, initial)
    if params is None:
        naming = naming_of_adapter(adapter, names)
    else:
        kernels_of(params, adapter)
        naming = naming_of(params, names, stacks=adapter.config.stacks)
    tied = _is_tied(adapter, naming)
    text = _config_text(adapter, naming, tied=tied, base_model=base_model)
    tensors = _tensors(adapter, naming, params, chosen)
    if tied:
        tensors |= _head_tensors(tensors)
    try:
        with new_directory(target) as temporary:
            write_tensors(temporary / NAME, tensors)
            (temporary / config_file.NAME).write_text(text, encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{target}: could not be written: {error}") from error
    return target


def _is_tied(adapter: Adapter, naming: Naming) -> bool:
    """Whether the head changes with the embedding, being the same array."""
    has_embedding = any(
        naming.theirs[module.name] == EMBEDDING_MODULE for module in adapter.modules()
    )
    if not (naming.decoder and naming.tied and has_embedding):
        return False
    if adapter.config.dora:
        raise ConfigError(
            "dora: the output head is the embedding here, and has the magnitudes of its columns; "
            "in PEFT both would have magnitudes of their own. Exclude the embedding, or merge the "
            "adapter and save the model"
        )
    return True


def _config_text(adapter: Adapter, naming: Naming, *, tied: bool, base_model: str | None) -> str:
    every = [*naming.ours, *([HEAD_MODULE] if naming.tied else [])]
    chosen = {naming.theirs[m.name]: (m.rank, m.alpha) for m in adapter.modules()}
    if tied:
        chosen[HEAD_MODULE] = chosen[EMBEDDING_MODULE]

    def follows(rules: Rules) -> bool:
        return rules.select(every, naming.nonlinear) == chosen

    as_before = False
    if adapter.peft:
        before = parse_object(adapter.peft.encode(), place=config_file.NAME, error=ConfigError)
        rules = config_file.parse_config(before, place=config_file.NAME, ignore=before).rules
        found = rules.select(every, naming.nonlinear)
        if tied:  # PEFT writes the embedding alone, and means both
            found[HEAD_MODULE] = rules.values(HEAD_MODULE)
        as_before = found == chosen
    if not as_before:
        # Of a tree that is not at hand nobody knows which names end in which.
        rules = describe(
            chosen,
            lambda rules: naming.complete and follows(rules),
            listed=naming.decoder,
        )
        if not follows(rules):
            raise ConfigError(
                f"names: no adapter_config.json means just {listed(list(chosen))}, since one of "
                "the names ends in another"
            )
    text = config_file.config_text(
        adapter.config,
        rules,
        tied=tied,
        task="CAUSAL_LM" if naming.decoder else None,
        base_model=base_model,
        before=adapter.peft,
        as_before=as_before,
    )
    entries = parse_object(text.encode(), place=config_file.NAME, error=ConfigError)
    again = config_file.parse_config(entries, place=config_file.NAME, ignore=entries)
    said = (again.rslora, again.dora, again.dropout, again.tied)
    meant = (adapter.config.rslora, adapter.config.dora, adapter.config.dropout, tied)
    if again.rules != rules or said != meant:
        raise ConfigError(
            f"adapter: {config_file.NAME} would say {again}, which is not this adapter"
        )
    return text


def _tensors(
    adapter: Adapter, naming: Naming, params: Any, dtype: np.dtype | None
) -> dict[str, np.ndarray]:
    for path, factors in adapter.factors.items():
        for part, value in factors.items():
            if isinstance(value, jax.Array) and not value.is_fully_addressable:
                raise ConfigError(
                    f"adapter: {part} of {path} is spread over other processes; gather it first"
                )
    layouts = _layouts(adapter, params)
    on_host = Adapter(jax.device_get(adapter.factors), adapter.config, adapter.targets)
    tensors = {}
    for module in on_host.modules():
        parts: dict[Part, Any] = {"a": module.a, "b": module.b, "m": module.m}
        for part, factor in parts.items():
            if factor is None:
                continue
            key = key_of(naming.theirs[module.name], part, embedding=module.target.embedding)
            own = _cast(np.asarray(factor), dtype, f"{part} of {module.name}")
            tensors[key] = layouts[module.target.path].to_tensor(part, own)
    return tensors


def _layouts(adapter: Adapter, params: Any) -> dict[str, Layout]:
    """How the factors of each target lie, by its path."""
    kernels = {}
    if params is not None:
        kernels = {kernel.path: kernel for kernel in find_kernels(params, adapter.config.stacks)}
    return {
        target.path: _layout(target, adapter, kernels.get(target.path))
        for target in adapter.targets
    }


def _layout(target: Target, adapter: Adapter, kernel: Any) -> Layout:
    factors = adapter.factors[target.path]
    if kernel is not None:
        convolution = kernel.is_convolution and target.in_axes == len(kernel.layer_shape) - 1
        return Layout.of(kernel.layer_shape, target.in_axes, convolution=convolution)
    if target.in_axes > 1:
        raise ConfigError(
            f"params: {target.path} has {target.in_axes} axes of inputs, and how PEFT lays its "
            "factors out depends on their sizes; give params=, what the adapter was made for, or "
            "its shapes"
        )
    return Layout(factors["a"].shape[-2], factors["b"].shape[-1])


def _cast(factor: np.ndarray, dtype: np.dtype | None, place: str) -> np.ndarray:
    own = jnp.dtype(factor.dtype)
    target_dtype(own)  # or PEFT could not read it
    if not np.isfinite(factor).all():
        raise ConfigError(f"adapter: {place}: holds NaN or Inf")
    with np.errstate(over="ignore"):  # told below
        cast = factor if dtype is None else factor.astype(dtype)
    if not np.isfinite(cast).all():
        most = float(np.abs(factor).max())
        raise ConfigError(
            f"adapter: {place}: holds {most:g}, and {cast.dtype.name} ends at "
            f"{float(jnp.finfo(cast.dtype).max):g}; "
            f"{'bfloat16' if cast.dtype == np.float16 else own.name} has room for it"
        )
    return cast


def _head_tensors(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What PEFT has for a head that is the embedding: the same product, transposed."""
    a = tensors[key_of(EMBEDDING_MODULE, "a", embedding=True)]
    b = tensors[key_of(EMBEDDING_MODULE, "b", embedding=True)]
    return {
        key_of(HEAD_MODULE, "a", embedding=False): np.ascontiguousarray(b.T),
        key_of(HEAD_MODULE, "b", embedding=False): np.ascontiguousarray(a.T),
    }
