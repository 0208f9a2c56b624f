"""An adapter that PEFT, or `save_lora` here, has written.

    adapter = load_lora("out/adapter", params)
    merged = lora.merge(params, adapter)

Nothing of the files is passed over: each tensor is a factor of a module that there is, each module
that the config means has its factors, and what is switched on beyond that is refused by name.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.lora.adapter import Adapter, assemble
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.initial import init_pissa, laid_out
from jaxtrain.lora.peft.config import PeftConfig, read_config
from jaxtrain.lora.peft.contents import Parts, found_in, listed
from jaxtrain.lora.peft.description import describe, exactly
from jaxtrain.lora.peft.factors import input_axes, read_factors
from jaxtrain.lora.peft.names import HEAD_MODULE, Names, Naming, naming_of
from jaxtrain.lora.peft.original import for_original
from jaxtrain.lora.peft.rules import Chosen, Rules
from jaxtrain.lora.peft.tensors import NAME
from jaxtrain.lora.targets import find_kernels, find_targets, leaves_by_path
from jaxtrain.models.hf.strict_json import quoted
from jaxtrain.models.hf.weights import Weights

_UNREAD = (".bin", ".pt", ".pth", ".ckpt")
_USUAL = ("q_proj", "v_proj")
"""What PEFT adapts of a Llama and of a Gemma where the config does not say it."""


def load_lora(
    path: str | os.PathLike[str],
    params: Any,
    *,
    names: Names = None,
    trainable: bool = False,
    stacks: Sequence[str] = ("layers",),
    ignore: Collection[str] = (),
) -> Adapter:
    """Read what PEFT's `save_pretrained` or `save_lora` has written.

    Args:
        path: the directory.
        params: what the adapter is for: the base as it is in its own files, or the shapes of that;
            arrays where the adapter began with a part of them (pissa), or has a copy of the
            embedding in its files.
        names: names in the file by names here, a mapping or a function; see `save_lora`.
        trainable: whether `lora.model` may train it.
        stacks: names of subtrees of `params` whose leaves lie stacked.
        ignore: entries of adapter_config.json that are not known here, and that mean nothing for
            what the adapter computes.

    Returns:
        The adapter, its factors float32. Where it began with a part of the base, an adapter for the
        base as it is, of twice the rank.

    Raises:
        DataNotFoundError: there is no such directory, or a file of it is missing.
        ConfigError: what the config has switched on is not done here, see `read_config`; or the
            weights are in a file that could execute code.
        DataError: a file is broken, or its tensors are not those of the config and of `params`.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise DataNotFoundError(f"{directory}: there is no such directory")
    given = read_config(directory, ignore=ignore)
    naming = naming_of(params, names, stacks=stacks)
    weights = _weights(directory)
    kernels = find_kernels(params, stacks)
    found = found_in(weights, naming, given, params, kernels)
    ranks = {module: _rank(weights, parts) for module, parts in found.items()}
    chosen = _chosen(given, naming, ranks, weights)
    by_name = {name: kernel for kernel in kernels for name in kernel.names}
    ours = {naming.ours[module]: own for module, own in chosen.items()}
    keys = {naming.ours[module]: parts for module, parts in found.items()}
    config = _config(given, ours, params, tuple(stacks), input_axes(ours, keys, by_name, weights))
    targets = find_targets(params, config)
    modules = read_factors(targets, keys, by_name, weights, given)
    adapter = _laid_out(assemble(config, targets, modules), params)
    if given.init == "pissa":
        adapter = _for_original(adapter, params)
    return dataclasses.replace(adapter, trainable=trainable, peft=given.text)


def _weights(directory: Path) -> Weights:
    if not (directory / NAME).is_file():
        unread = sorted(p.name for p in directory.iterdir() if p.suffix in _UNREAD)
        if unread:
            raise ConfigError(
                f"{directory}: found {unread[0]}, and no {NAME}. Reading that file would execute "
                "what is in it, so it is not read; convert it where you trust it: PEFT's "
                "from_pretrained(...), then save_pretrained(...)"
            )
        raise DataNotFoundError(f"{directory / NAME}: there is no such file")
    return Weights(directory, single=NAME)


def _rank(weights: Weights, parts: Parts) -> int | None:
    """R by the shape of A; None where there is none."""
    shape = weights.heads[parts["a"]].shape if "a" in parts else ()
    return shape[0] if shape else None


def _chosen(
    given: PeftConfig, naming: Naming, ranks: Mapping[str, int | None], weights: Weights
) -> dict[str, tuple[int, float]]:
    """The modules with their ranks and alphas, by their names: of the config and of the file."""
    rules, place = given.rules, weights.directory
    if rules.targets is None and naming.decoder:
        rules = dataclasses.replace(rules, targets=_USUAL)
    elif rules.targets is None:
        rules = dataclasses.replace(rules, targets=tuple(ranks))
    known = [*naming.ours, *([HEAD_MODULE] if naming.tied else [])]
    if idle := rules.idle(known):
        raise ConfigError(
            f"{place}: target_modules: {listed(idle)} matches no module; {given.trained_for}"
        )
    chosen = rules.select(naming.ours, naming.nonlinear)
    if missing := [name for name in chosen if name not in ranks]:
        raise DataError(
            f"{place / NAME}: has no factors of {listed(missing)}, which the config means"
        )
    if extra := [name for name in ranks if name not in chosen]:
        raise DataError(
            f"{place / NAME}: has factors of {listed(extra)}, which the config does not mean, so "
            "that PEFT would leave them out"
        )
    if not chosen:
        raise DataError(f"{place / NAME}: has no factors at all")
    for name, (rank, _) in chosen.items():
        if ranks[name] not in (rank, None):
            raise DataError(
                f"{place / NAME}: {quoted(name)}: has factors of rank {ranks[name]}, and the "
                f"config means {rank}; its scale depends on that"
            )
    return chosen


def _config(
    given: PeftConfig,
    chosen: Chosen,
    params: Any,
    stacks: tuple[str, ...],
    in_axes: Mapping[str, int],
) -> LoRAConfig:
    """The same in our words, in which modules have other names."""

    def made(rules: Rules) -> LoRAConfig:
        return LoRAConfig(
            rank=rules.rank,
            alpha=rules.alpha,
            targets=rules.targets or (),
            layers=rules.layers,
            dropout=given.dropout,
            rslora=given.rslora,
            dora=given.dora,
            init=given.init,
            rank_pattern=rules.rank_pattern,
            alpha_pattern=rules.alpha_pattern,
            in_axes={exactly(name): axes for name, axes in in_axes.items()},
            stacks=stacks,
        )

    def follows(rules: Rules) -> bool:
        try:
            targets = find_targets(params, made(rules))
        except ConfigError:  # a layer that there is not, say, or a kernel that is not meant
            return False
        found = {
            name: (rank, alpha)
            for target in targets
            for name, rank, alpha in zip(target.names, target.ranks, target.alphas, strict=True)
            if rank
        }
        return found == chosen

    return made(describe(chosen, follows))


def _laid_out(adapter: Adapter, params: Any) -> Adapter:
    """The factors on the devices of their kernels."""
    leaves = leaves_by_path(params)
    factors = {
        target.path: {
            part: laid_out(factor, leaves[target.path], target, part)
            for part, factor in adapter.factors[target.path].items()
        }
        for target in adapter.targets
    }
    return dataclasses.replace(adapter, factors=factors)


def _for_original(adapter: Adapter, params: Any) -> Adapter:
    """An adapter that began with a part of the base, for the base as it is."""
    if embeddings := [target.path for target in adapter.targets if target.embedding]:
        raise ConfigError(
            f"init_lora_weights: pissa begins with a part of {embeddings[0]} here, and not in "
            "PEFT; convert the adapter by PEFT's save_pretrained(..., "
            "path_initial_model_for_weight_conversion=...)"
        )
    leaves = leaves_by_path(params)
    for target in adapter.targets:
        if isinstance(leaves[target.path], jax.ShapeDtypeStruct):
            raise ConfigError(
                f"params: the adapter began with a part of {target.path} (init_lora_weights: "
                "pissa), of which only the shape is there; give arrays"
            )
    _, initial = init_pissa(jax.random.key(0), params, adapter.config)
    return for_original(adapter, initial)
