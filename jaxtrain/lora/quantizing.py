"""A base in 8 or 4 bits, for an adapter to stand beside.

    small = lora.quantize(params, "nf4")            # kernels in 4 bits, all else as it was
    model = lora.model(base, config, quantize="nf4")
    adapter = lora.init(key, small, config)
    state = create_train_state(model, tx, batch, rng=key, params=adapter, frozen=small)
    merged = lora.merge(small, adapter)             # floats: what was trained, no bit less

An adapter is trained beside what is left of a kernel, and merged into that: a product of few bits
plus an update, in the kernel's own dtype. It is not rounded to few bits again.
"""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.targets import find_targets, leaves_by_path, with_leaves
from jaxtrain.models.quantized import Bits, Quantized, is_quantized, plain, quantized


def quantize(params: Any, bits: Bits, config: LoRAConfig | None = None) -> Any:
    """The parameters with each kernel of a dense layer in few bits.

    Those are the kernels that "all-linear" means, and no other: embeddings, the output head,
    norms and biases stay. They need not be those that have an adapter.

    Args:
        params: arrays; may be traced.
        bits: "int8", "int4", or "nf4", whose sixteen values lie as those of a normal distribution
            do (arXiv:2305.14314).
        config: an adapter's; of it `in_axes` and `stacks` are read, which say how kernels lie.

    Raises:
        ConfigError: a word that is none of these; parameters that are quantised already; qwix is
            not installed.
    """
    if bits not in get_args(Bits):
        raise ConfigError(f"quantize: expected one of {', '.join(get_args(Bits))}, found {bits!r}")
    leaves = leaves_by_path(params)
    if already := [path for path, leaf in leaves.items() if is_quantized(leaf)]:
        raise ConfigError(
            f"quantize: {already[0]} is in {leaves[already[0]].bits} already; what was rounded "
            "twice is no longer near to what it was. lora.dequantize(params) gives floats"
        )
    config = LoRAConfig() if config is None else config
    every = LoRAConfig(in_axes=config.in_axes, stacks=config.stacks)
    new = {}
    for target in find_targets(params, every):
        kernel = leaves[target.path]
        if not jnp.issubdtype(kernel.dtype, jnp.floating):
            raise ConfigError(f"quantize: {target.path}: expected floats, found {kernel.dtype}")
        new[target.path] = _quantized(kernel, bits, len(target.lead) + target.in_axes - 1)
    return with_leaves(params, new)


def dequantize(params: Any) -> Any:
    """The parameters in floats; what was never in few bits are the same arrays."""
    return jax.tree.map(plain, params, is_leaf=is_quantized)


@partial(jax.jit, static_argnums=(1, 2))
def _quantized(kernel: Any, bits: Bits, axis: int) -> Quantized:
    return quantized(kernel, bits, axis=axis)
