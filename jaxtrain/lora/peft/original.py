"""An adapter that began with a part of the kernels, for the kernels as they were before.

    params, initial = lora.init_pissa(rng, original, config)
    ...                                             # adapter: initial, trained on params
    plain = for_original(adapter, initial)
    merge(original, plain)                          # merge(params, adapter)

With PiSSA the base is W - s A0 B0. With the trained factors it is W + s (A B - A0 B0), whose second
part is an adapter of W, with A and A0 side by side and B above -B0: of twice the rank. PEFT does
the same (`subtract_mutated_init`), but not with rank or alpha patterns under rsLoRA.

Axes: I inputs, O outputs, R rank.
"""

from __future__ import annotations

import dataclasses
import math

import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter, assemble


def for_original(adapter: Adapter, initial: Adapter) -> Adapter:
    """The adapter that does to the original parameters what `adapter` does to the changed ones.

    Args:
        adapter: with `init="pissa"`.
        initial: what `init_pissa` gave together with the changed parameters.

    Returns:
        An adapter of twice the rank, with `init="zero_b"`, and magnitudes as they are with DoRA.

    Raises:
        ConfigError: the two don't belong together, or did not begin so.
    """
    config = adapter.config
    if config.init != "pissa":
        raise ConfigError(
            f'initial: this adapter did not begin with a part of the base (init: "{config.init}"), '
            "so there is nothing to take back; leave it out"
        )
    if (initial.config, initial.targets) != (config, adapter.targets):
        raise ConfigError(
            "initial: expected the adapter that init_pissa gave, found one of another config, or "
            "of other kernels"
        )
    # The scale stays as it is.
    more = math.sqrt(2) if config.rslora else 2.0
    doubled = dataclasses.replace(
        config,
        rank=2 * config.rank,
        alpha=more * config.alpha,
        rank_pattern=tuple((key, 2 * rank) for key, rank in config.pairs("rank_pattern")),
        alpha_pattern=tuple((key, more * alpha) for key, alpha in config.pairs("alpha_pattern")),
        init="zero_b",
    )
    targets = tuple(
        dataclasses.replace(
            target,
            ranks=tuple(2 * rank for rank in target.ranks),
            alphas=tuple(more * alpha for alpha in target.alphas),
        )
        for target in adapter.targets
    )
    modules = {}
    for own, begun in zip(adapter.modules(), initial.modules(), strict=True):
        modules[own.name] = {
            "a": jnp.concatenate([own.a, begun.a.astype(own.a.dtype)], axis=1),
            "b": jnp.concatenate([own.b, -begun.b.astype(own.b.dtype)], axis=0),
        }
        if own.m is not None:
            modules[own.name]["m"] = own.m
    made = assemble(doubled, targets, modules)
    return dataclasses.replace(made, trainable=adapter.trainable, peft=adapter.peft)
