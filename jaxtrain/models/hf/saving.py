"""A decoder in the files of Hugging Face, whole or not at all.

save("out/model", config, params, dtype="bfloat16")
transformers.AutoModelForCausalLM.from_pretrained("out/model")
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.files import new_directory
from jaxtrain.files.names import check_name
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.models.hf import config as config_file
from jaxtrain.models.hf.dtypes import TARGETS
from jaxtrain.models.hf.dtypes import target as target_dtype
from jaxtrain.models.hf.names import Leaf, leaves
from jaxtrain.models.hf.tensor_file import write_tensors
from jaxtrain.models.hf.weights import INDEX, SINGLE


def save(
    path: str | os.PathLike[str],
    config: DecoderConfig,
    params: Mapping[str, Any],
    *,
    dtype: Any = None,
    max_shard_size: int = 5 * 10**9,
    extra: Mapping[str, Any] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> None:
    """Write what `load` here and `from_pretrained` of transformers read.

    Args:
        path: a directory that is not there yet, or is empty. Nothing is ever replaced.
        config: the sizes: those of a Llama or of a Gemma.
        params: as `initial_params` lays them out.
        dtype: "float32", "bfloat16" or "float16"; by default each array's own.
        max_shard_size: bytes of tensors in a file; what is more goes to several, with an index. As
            much memory is taken. A tensor is never split.
        extra: more entries for config.json, such as the `eos_token_id` and `bos_token_id` of the
            tokenizer, which a `DecoderConfig` does not know. What is not said is null.
        beside: further files by name, such as the tokenizer's; they are there when the rest is.

    Raises:
        ConfigError: there is something at `path`; or transformers has no such model; or params are
            not those of the config, all differences listed; or an entry of `extra` is the config's,
            or a name of `beside` that of a file of the model, or none; or a number is too large
            for `dtype`, the tensor named.
        CheckpointError: it could not be written, a full disk say. Then nothing is there.
    """
    target = Path(path).absolute()
    if max_shard_size < 1:
        raise ConfigError(f"max_shard_size: expected at least 1 byte, found {max_shard_size}")
    dtypes = _dtypes(config, params, dtype)
    entries = _config_text(config, dtypes, extra or {})
    for name in (beside := beside or {}):
        _refuse_name(name)
    try:
        with new_directory(target) as temporary:
            _write_weights(temporary, config, params, dtypes, max_shard_size)
            (temporary / config_file.NAME).write_text(entries, encoding="utf-8")
            for name, data in beside.items():
                (temporary / name).write_bytes(data)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{target}: could not be written: {error}") from error


def _refuse_name(name: str) -> None:
    check_name(name, what="beside")
    if name in (config_file.NAME, INDEX) or name.endswith(".safetensors"):
        raise ConfigError(f"beside: {name} is a file of the model itself")


def _dtypes(config: DecoderConfig, params: Mapping[str, Any], dtype: Any) -> dict[Leaf, np.dtype]:
    """What each leaf is written in; all that is wrong with the parameters, at once."""
    named = jax.tree_util.tree_flatten_with_path(params)[0]
    found = {jax.tree_util.keystr(p, simple=True, separator="/"): value for p, value in named}
    chosen = None if dtype is None else target_dtype(dtype)
    expected = {"/".join(leaf.path): leaf for leaf in leaves(config)}
    wrong = [f"{name}: not one of this model" for name in found.keys() - expected.keys()]
    dtypes = {}
    for name, leaf in expected.items():
        if name not in found:
            wrong.append(f"{name}: missing")
            continue
        value = found[name]
        shape, own = jnp.shape(value), jnp.result_type(value)
        if shape != leaf.shape(config):
            wrong.append(f"{name}: expected {list(leaf.shape(config))}, found {list(shape)}")
        elif own.name not in TARGETS:
            wrong.append(f"{name}: expected {' or '.join(TARGETS)}, found {own.name}")
        elif isinstance(value, jax.Array) and not value.is_fully_addressable:
            wrong.append(f"{name}: is spread over other processes; gather it first")
        dtypes[leaf] = chosen or own
    if wrong:
        raise ConfigError("params: " + "\n  ".join(sorted(wrong)))
    return dtypes


def _config_text(
    config: DecoderConfig, dtypes: Mapping[Leaf, np.dtype], extra: Mapping[str, Any]
) -> str:
    first = next(iter(dtypes.values()))
    entries = config_file.config_json(config, dtype=first.name)
    if both := sorted(entries.keys() & extra.keys()):
        raise ConfigError(f"extra: {', '.join(both)} is what the config says; leave it out")
    # Else transformers would put its defaults there, ids of a tokenizer that is not ours.
    unknown = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    whole = entries | unknown | dict(extra)
    # What is written must be read again, as the same.
    if config_file.parse_config(whole, place="config.json") != config:
        raise ConfigError("extra: with these entries config.json would mean another model")
    try:
        return json.dumps(whole, indent=2, sort_keys=True, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ConfigError(f"extra: {error}; expected what JSON holds") from None


def _write_weights(
    directory: Path,
    config: DecoderConfig,
    params: Mapping[str, Any],
    dtypes: Mapping[Leaf, np.dtype],
    most: int,
) -> None:
    shards = _shards(config, dtypes, most)
    listed: dict[str, str] = {}
    total = 0
    for number, shard in enumerate(shards, 1):
        name = (
            SINGLE if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        )
        tensors = {of: _tensor(params, of, leaf, layer, dtypes[leaf]) for of, leaf, layer in shard}
        write_tensors(directory / name, tensors)
        listed |= dict.fromkeys(tensors, name)
        total += sum(tensor.nbytes for tensor in tensors.values())
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": listed}
        (directory / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _shards(
    config: DecoderConfig, dtypes: Mapping[Leaf, np.dtype], most: int
) -> list[list[tuple[str, Leaf, int]]]:
    """Which tensors go to which file: names, leaves and layers, layers that are one together."""
    tensors = [
        (name, leaf, layer)
        for leaf in leaves(config)
        for layer, name in enumerate(leaf.names(config))
    ]
    tensors.sort(key=lambda each: (each[1].stacked, each[2]))  # stable
    shards: list[list[tuple[str, Leaf, int]]] = [[]]
    held = 0
    for each in tensors:
        leaf = each[1]
        size = int(np.prod(leaf.tensor_shape(config))) * dtypes[leaf].itemsize
        if shards[-1] and held + size > most:
            shards.append([])
            held = 0
        shards[-1].append(each)
        held += size
    return shards


def _tensor(
    params: Mapping[str, Any], name: str, leaf: Leaf, layer: int, dtype: np.dtype
) -> np.ndarray:
    """A tensor on the host, as it lies in a file."""
    value: Any = params
    for key in leaf.path:
        value = value[key]

    def taken(dtype: np.dtype) -> np.ndarray:
        return np.ascontiguousarray(
            _taken(value, layer, dtype.name, leaf.transposed)
            if leaf.stacked
            else _converted(value, dtype.name, leaf.transposed)
        )

    tensor, own = taken(dtype), jnp.result_type(value)
    if dtype != own and (infinite := np.isinf(tensor)).any():
        before = taken(own)[infinite]
        if np.isfinite(before).any():
            most = float(np.abs(before[np.isfinite(before)]).max())
            wider = "bfloat16" if dtype == np.float16 else own.name
            raise ConfigError(
                f"params: {name}: holds {most:g}, and {dtype.name} ends at "
                f"{float(jnp.finfo(dtype).max):g}; {wider} has room for it"
            )
    return tensor


@functools.partial(jax.jit, static_argnums=(2, 3))
def _taken(stacked: jax.Array, layer: int | jax.Array, dtype: str, transposed: bool) -> jax.Array:
    tensor = jax.lax.dynamic_index_in_dim(stacked, layer, 0, keepdims=False)
    return (tensor.T if transposed else tensor).astype(dtype)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _converted(value: jax.Array, dtype: str, transposed: bool) -> jax.Array:
    return (value.T if transposed else value).astype(dtype)
