"""One adapter after the other: what came before becomes the base.

params, adapter = add_lora(params, LoRAConfig(rank=8), rng=key)
params = merge_lora(params, adapter)
base, adapter = progressive_lora_step(params, [first, second], LoRAConfig(rank=4), rng=key)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.initial import init, init_pissa
from jaxtrain.lora.merging import merge


def add_lora(params: Any, config: LoRAConfig, *, rng: jax.Array) -> tuple[Any, Adapter]:
    """A base and a fresh adapter for it, with which it does what `params` do alone.

    Returns:
        `params` as they are, but with "pissa", which takes from them what it begins with; and the
        adapter.
    """
    if config.init == "pissa":
        return init_pissa(rng, params, config)
    return params, init(rng, params, config)


def merge_lora(params: Any, adapter: Adapter) -> Any:
    """The parameters with the adapter in them; `merge` by another name."""
    return merge(params, adapter)


def progressive_lora_step(
    base: Any, previous_loras: Sequence[Adapter], new_lora_config: LoRAConfig, *, rng: jax.Array
) -> tuple[Any, Adapter]:
    """The base of the next phase, and its adapter.

    Args:
        base: parameters of the first phase.
        previous_loras: adapters in the order in which they were trained, each on what those before
            it were merged into.
        new_lora_config: of the next one.
        rng: a key.

    Returns:
        The base with all of them merged, and a fresh adapter for it.
    """
    for adapter in previous_loras:
        base = merge(base, adapter)
    return add_lora(base, new_lora_config, rng=rng)
