"""A base in 8 or 4 bits, for an adapter to stand beside.

    small = lora.quantize(params, "nf4")            # kernels in 4 bits, all else as it was
    model = lora.model(base, config, quantize="nf4")
    adapter = lora.init(key, small, config)
    state = create_train_state(model, tx, batch, rng=key, params=adapter, frozen=small)
    merged = lora.merge(small, adapter)             # floats, all of them

An adapter is trained beside what is left of a kernel, and merged into that: what the few bits stand
for plus an update, in the dtype that the kernel had. It is not rounded to few bits again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain.errors import ConfigError
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.targets import find_targets, leaves_by_path, with_leaves
from jaxtrain.models.quantized import Bits, Quantized, is_quantized, plain, quantized


def quantize(params: Any, bits: Bits, config: LoRAConfig | None = None) -> Any:
    """The parameters with kernels in few bits.

    Those are the kernels that "all-linear" means, of convolutions as well, and no other:
    embeddings, the output head, norms and biases stay. They need not be those that have an
    adapter. Each lies over devices as its kernel did.

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
        found = _quantized(kernel, bits, len(target.lead) + target.in_axes - 1)
        new[target.path] = _laid_out(found, kernel)
    return with_leaves(params, new)


def dequantize(params: Any) -> Any:
    """The parameters in floats; what was never in few bits are the same arrays."""
    return jax.tree.map(plain, params, is_leaf=is_quantized)


@partial(jax.jit, static_argnums=(1, 2))
def _quantized(kernel: Any, bits: Bits, axis: int) -> Quantized:
    return quantized(kernel, bits, axis=axis)


def _laid_out(found: Quantized, kernel: Any) -> Quantized:
    """On the devices of the kernel; XLA does not keep that through the search for NF4's values."""
    sharding = getattr(kernel, "sharding", None)
    if isinstance(kernel, jax.core.Tracer) or not isinstance(sharding, NamedSharding):
        return found
    spec = tuple(sharding.spec) + (None,) * (kernel.ndim - len(sharding.spec))
    whole = [
        here if scales == size else None
        for here, scales, size in zip(spec, found.scale.shape, kernel.shape, strict=True)
    ]
    layout = NamedSharding(sharding.mesh, PartitionSpec(*whole))
    return replace(
        found,
        values=jax.device_put(found.values, sharding),
        scale=jax.device_put(found.scale, layout),
    )
