"""Which tensor of an adapter's file is which factor of which module; what is none is refused.

    found = found_in(weights, naming, given, params)
    found["model.layers.0.self_attn.q_proj"]["a"]           # the name of a tensor

With an adapted embedding PEFT also writes the embedding itself. Such a copy says nothing, as long
as it is the base's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeAlias

import jax
import numpy as np

from jaxtrain.errors import ConfigError, DataError, did_you_mean
from jaxtrain.lora.peft.config import PeftConfig
from jaxtrain.lora.peft.names import EMBEDDING_MODULE, HEAD_MODULE, Naming
from jaxtrain.lora.peft.tensors import NAME, PREFIX, Part, key_of, parse_key
from jaxtrain.lora.targets import Kernel, leaves_by_path
from jaxtrain.models.hf.strict_json import quoted
from jaxtrain.models.hf.weights import Weights

Parts: TypeAlias = dict[Part, str]
"""The tensors of a module."""

_SHOWN = 5


def found_in(
    weights: Weights, naming: Naming, given: PeftConfig, params: Any, kernels: Sequence[Kernel]
) -> dict[str, Parts]:
    """The factors in a file, by the name of the module there.

    Args:
        weights: the file.
        naming: names of the modules there are.
        given: the config beside it.
        params: what the adapter is for.
        kernels: as `find_kernels` finds them in `params`.

    Raises:
        DataError: a tensor is no factor of a module, or is there twice; or is another weight than
            that of the base.
        ConfigError: it adapts the embedding or the head, which are one array here, and not both.
    """
    found: dict[str, Parts] = {}
    others = []
    for key in weights.heads:
        parsed = parse_key(key)
        if parsed is None:
            others.append(key)
            continue
        module, part, _ = parsed
        if module not in naming.ours and not (naming.tied and module == HEAD_MODULE):
            raise DataError(
                f"{weights.place(key)}: there is no module {quoted(module)} here; "
                f"{given.trained_for}{did_you_mean(module, naming.ours)}"
            )
        own = found.setdefault(module, {})
        if part in own:
            raise DataError(f"{weights.place(key)}: is there as {quoted(own[part])}, too")
        own[part] = key
    _refuse_another_base(others, weights, naming, given, params, kernels)
    if naming.tied:
        _take_head(found, weights, given)
    return found


def listed(names: Sequence[str]) -> str:
    """Names for a message, some of them where they are many."""
    shown = ", ".join(map(quoted, islice(names, _SHOWN)))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _refuse_another_base(
    others: Iterable[str],
    weights: Weights,
    naming: Naming,
    given: PeftConfig,
    params: Any,
    kernels: Sequence[Kernel],
) -> None:
    """See that what is no factor is a weight of the base, as it is there."""
    for key in others:
        module = key.removeprefix(PREFIX).removesuffix(".weight").removesuffix(".base_layer")
        name = EMBEDDING_MODULE if naming.tied and module == HEAD_MODULE else module
        if not key.startswith(PREFIX) or not key.endswith(".weight") or name not in naming.ours:
            example = key_of(next(iter(naming.ours)), "a", embedding=False)
            raise DataError(
                f"{weights.place(key)}: is no factor of a module here; expected names such as "
                f"{example}"
            )
        expected = _weight_of(naming.ours[name], params, kernels)
        if expected is None or not _same(weights.read(key), expected):
            raise DataError(
                f"{weights.place(key)}: is not the weight that params have; a module that was "
                "trained whole, or an embedding of another size, is no part of an adapter here: "
                f"merge it by PEFT, and load the model; {given.trained_for}"
            )


def _weight_of(name: str, params: Any, kernels: Sequence[Kernel]) -> np.ndarray | None:
    """A kernel of two axes as torch has it; None of one with more."""
    kernel = next(kernel for kernel in kernels if name in kernel.names)
    leaf = leaves_by_path(params)[kernel.path]
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise ConfigError(f"params: {kernel.path}: there is a copy of it in the file; give arrays")
    if len(kernel.layer_shape) != 2:
        return None
    array = np.asarray(leaf[kernel.names.index(name)] if kernel.stacked else leaf)
    return array if kernel.embedding else array.T


def _same(tensor: np.ndarray, expected: np.ndarray) -> bool:
    """Whether they are equal, in the narrower of their dtypes."""
    if tensor.shape != expected.shape:
        return False
    narrow = min(tensor.dtype, expected.dtype, key=lambda dtype: dtype.itemsize)
    return np.array_equal(tensor.astype(narrow), expected.astype(narrow))


def _take_head(found: dict[str, Parts], weights: Weights, given: PeftConfig) -> None:
    """Of a head that is the embedding: its factors, which have to be those of the embedding."""
    head, embedding = found.pop(HEAD_MODULE, None), found.get(EMBEDDING_MODULE)
    if head is None and embedding is None:
        return
    if not given.tied:
        has = "the embedding" if embedding is not None else "the output head"
        raise ConfigError(
            f"{weights.directory}: adapts {has}, which are one array here, and not the other: "
            "ensure_weight_tying is not true. Merge it by PEFT into a model whose head is not "
            "tied, and load that"
        )
    if given.dora:
        raise ConfigError(
            f"{weights.directory}: use_dora: the embedding and the output head are one array here, "
            "and would have two sets of magnitudes; merge it by PEFT, and load the model"
        )
    mine_of, theirs_of = map(given.rules.values, (EMBEDDING_MODULE, HEAD_MODULE))
    if mine_of != theirs_of:
        raise ConfigError(
            f"{weights.directory}: rank_pattern and alpha_pattern give {EMBEDDING_MODULE} rank and "
            f"alpha {mine_of} and {HEAD_MODULE} {theirs_of}, so that PEFT scales one product "
            "differently in either; here they are one array"
        )
    if head is None or embedding is None or head.keys() != embedding.keys():
        raise DataError(
            f"{weights.directory / NAME}: ensure_weight_tying: expected the factors of "
            f"{EMBEDDING_MODULE} and of {HEAD_MODULE}, found those of one alone"
        )
    pairs: tuple[tuple[Part, Part], ...] = (("a", "b"), ("b", "a"))
    for part, other in pairs:
        mine, theirs = weights.read(embedding[part]), weights.read(head[other])
        if mine.shape != theirs.T.shape or not np.array_equal(mine, theirs.T):
            raise DataError(
                f"{weights.place(head[other])}: differs from {quoted(embedding[part])}, and the "
                "config says that they are one (ensure_weight_tying)"
            )
