"""From a directory of Hugging Face to a decoder's config and parameters.

    config, params = load("Llama-3.2-1B", dtype="bfloat16")
    config, params = load("Llama-3.2-1B", sharding=NamedSharding(mesh, P()))

All that the files claim is compared before a byte of a tensor is read. Then one tensor after the
other goes to where it is meant for, in the dtype that is meant, and is transposed there.
"""

from __future__ import annotations

import functools
import os
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.models.hf.config import read_config
from jaxtrain.models.hf.dtypes import STORED, target
from jaxtrain.models.hf.names import EMBEDDING, HEAD, Leaf, is_ignored, leaves
from jaxtrain.models.hf.strict_json import quoted
from jaxtrain.models.hf.weights import Weights

Shardings: TypeAlias = "jax.sharding.Sharding | dict[str, Any] | None"

_SHOWN = 5


def load(
    path: str | os.PathLike[str], *, dtype: Any = None, sharding: Shardings = None
) -> tuple[DecoderConfig, dict[str, Any]]:
    """Read a Llama or a Gemma, as `save_pretrained` of transformers and `save` here write it.

    Args:
        path: the directory: config.json and safetensors, one file or several with an index.
        dtype: "float32", "bfloat16" or "float16"; by default that of the files, float32 where
            they have several or float64.
        sharding: where the parameters go: one sharding for all, or a tree of them like the
            parameters. By default the default device.

    Returns:
        The config, and parameters as `initial_params` lays them out.

    Raises:
        DataNotFoundError: there is no such directory, or a file of it is missing.
        ConfigError: another model, something switched on that the decoder does not do, or a
            sharding or dtype that can't be.
        DataError: a file is broken, or its tensors are not those of the config.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise DataNotFoundError(f"{directory}: there is no such directory")
    config = read_config(directory)
    weights = Weights(directory)
    _refuse_differences(weights, config)
    chosen = _own_dtype(weights) if dtype is None else target(dtype)
    params: dict[str, Any] = {}
    for leaf in leaves(config):
        *way, last = leaf.path
        within = params
        for key in way:
            within = within.setdefault(key, {})
        within[last] = _placed(leaf, config, weights, chosen, _sharding_of(leaf, sharding))
    return config, params


def _refuse_differences(weights: Weights, config: DecoderConfig) -> None:
    """See that the files hold the tensors of the config, and nothing else."""
    if config.layers > len(weights.heads):  # so that a claim is not written out
        raise DataError(
            f"{weights.directory}: config.json says num_hidden_layers={config.layers}, and the "
            f"files have {len(weights.heads)} tensors in all"
        )
    expected = {
        name: leaf.tensor_shape(config) for leaf in leaves(config) for name in leaf.names(config)
    }
    if missing := [name for name in expected if name not in weights.heads]:
        raise DataError(f"{weights.directory}: missing: {_listed(missing)}")
    rest = [name for name in weights.heads if name not in expected and not is_ignored(name)]
    if config.tied and HEAD in rest:
        _refuse_another_head(weights)
        rest.remove(HEAD)
    if rest:
        raise DataError(
            f"{weights.place(rest[0])}: not one of this model; unexpected: {_listed(rest)}"
        )
    for name, shape in expected.items():
        if (found := weights.heads[name].shape) != shape:
            raise DataError(
                f"{weights.place(name)}: expected {list(shape)}, by config.json, found "
                f"{list(found)}"
            )


def _refuse_another_head(weights: Weights) -> None:
    """See that the head, where it is tied and there all the same, is the embedding."""
    if weights.heads[HEAD] != weights.heads.get(EMBEDDING) or not np.array_equal(
        weights.read(HEAD).view(np.uint8), weights.read(EMBEDDING).view(np.uint8)
    ):
        raise DataError(
            f"{weights.place(HEAD)}: differs from {EMBEDDING}, and config.json says that they are "
            "one (tie_word_embeddings, which is true where it is absent from a Gemma's)"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(quoted, islice(names, _SHOWN)))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _own_dtype(weights: Weights) -> np.dtype:
    found = {STORED[head.dtype] for head in weights.heads.values()}
    single = found.pop() if len(found) == 1 else None
    return single if single is not None and single.itemsize < 8 else np.dtype(np.float32)


def _sharding_of(leaf: Leaf, sharding: Shardings) -> jax.sharding.Sharding | None:
    found: Any = sharding
    for key in leaf.path:
        if not isinstance(found, dict):
            break
        found = found.get(key)
    if (found is None and sharding is not None) or isinstance(found, dict):
        raise ConfigError(f"sharding: there is none for {'/'.join(leaf.path)}")
    return found


# Where a leaf goes: devices, and which part of it goes there.
_Places: TypeAlias = "dict[Any, tuple[slice, ...]]"


def _placed(
    leaf: Leaf,
    config: DecoderConfig,
    weights: Weights,
    dtype: np.dtype,
    sharding: jax.sharding.Sharding | None,
) -> jax.Array:
    shape = leaf.shape(config)
    places = _places(leaf, shape, sharding)
    if leaf.stacked:
        parts = {
            device: jnp.zeros([s.stop - s.start for s in part], dtype, device=device)
            for device, part in places.items()
        }
        for layer, name in enumerate(leaf.names(config)):
            tensor = weights.read(name)
            for device, (layers, *rest) in places.items():
                if layers.start <= layer < layers.stop:
                    piece = _piece(tensor, rest, leaf, dtype, device)
                    at = layer - layers.start
                    parts[device] = _written(parts[device], piece, at, leaf.transposed)
            # Else tensors would be read faster than they are written, and wait in memory.
            jax.block_until_ready(list(parts.values()))
    else:
        tensor = weights.read(leaf.name)
        parts = {}
        for device, part in places.items():
            piece = _piece(tensor, part, leaf, dtype, device)
            parts[device] = _converted(piece, leaf.transposed, dtype.name)
        jax.block_until_ready(list(parts.values()))
    if sharding is None:
        return parts[None]
    return jax.make_array_from_single_device_arrays(shape, sharding, list(parts.values()))


def _places(leaf: Leaf, shape: tuple[int, ...], sharding: jax.sharding.Sharding | None) -> _Places:
    if sharding is None:
        return {None: tuple(slice(0, size) for size in shape)}
    place = f"sharding: {'/'.join(leaf.path)} {list(shape)}"
    if isinstance(sharding, jax.sharding.NamedSharding) and len(sharding.spec) > len(shape):
        raise ConfigError(f"{place}: expected at most {len(shape)} axes, found {sharding.spec}")
    try:
        found = sharding.addressable_devices_indices_map(shape)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None
    return {
        device: tuple(
            slice(*s.indices(size)[:2]) for s, size in zip(part or (), shape, strict=True)
        )
        for device, part in found.items()
    }


def _piece(tensor: np.ndarray, part: Any, leaf: Leaf, dtype: np.dtype, device: Any) -> jax.Array:
    """The part of a tensor that goes to a device, there, still as it lies in the file."""
    piece = tensor[tuple(reversed(part)) if leaf.transposed else tuple(part)]
    if piece.dtype.itemsize == 8:  # no device would take it as it is
        piece = piece.astype(dtype)
    # Never the tensor's own memory: it would be given away with the parameters.
    return jax.device_put(piece, device, may_alias=False)


@functools.partial(jax.jit, donate_argnums=0, static_argnums=3)
def _written(
    stacked: jax.Array, tensor: jax.Array, layer: int | jax.Array, transposed: bool
) -> jax.Array:
    """`stacked` with a layer written, in place."""
    tensor = (tensor.T if transposed else tensor).astype(stacked.dtype)
    return jax.lax.dynamic_update_index_in_dim(stacked, tensor, layer, 0)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _converted(tensor: jax.Array, transposed: bool, dtype: str) -> jax.Array:
    return (tensor.T if transposed else tensor).astype(dtype)
