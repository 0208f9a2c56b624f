"""An adapter as a part of the kernels, and taken out again.

    merged = merge(params, adapter)
    merged, kept = merge(params, adapter, keep=True)
    params = unmerge(merged, kept)                            # bit by bit what they were
    merged, lost = merge_with_report(params, adapter)         # what a narrow dtype has lost

Sums are float32 and cast once: a sum of narrow numbers loses what is small beside them.

Axes: N layers of a stack, I inputs, O outputs, R rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.targets import Target, leaves_by_path, with_leaves
from jaxtrain.models.low_rank import column_factor
from jaxtrain.models.quantized import Quantized, is_quantized, plain


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Kept:
    """What a merge has overwritten.

    Attributes:
        kernels: by path; the very arrays, not copies.
    """

    kernels: dict[str, jax.Array]


@overload
def merge(params: Any, adapter: Adapter, *, keep: Literal[False] = ...) -> Any: ...


@overload
def merge(params: Any, adapter: Adapter, *, keep: Literal[True]) -> tuple[Any, Kept]: ...


def merge(params: Any, adapter: Adapter, *, keep: bool = False) -> Any:
    """The parameters with the adapter in them: `kernel + scale * a @ b`, in the kernel's dtype.

    With DoRA each column of that has the adapter's magnitude. May be traced and differentiated.

    Args:
        params: what the adapter was made for; it is neither changed nor donated. Kernels in few
            bits become floats, also those without an adapter.
        adapter: the adapter.
        keep: hand out what was overwritten as well, for `unmerge`.

    Returns:
        The parameters; other leaves are the same arrays. With `keep`, those and a `Kept`.

    Raises:
        ConfigError: the adapter has a kernel that the parameters have not, or of another shape.
    """
    kernels = kernels_of(params, adapter)
    new = {
        target.path: _merged(
            kernels[target.path],
            adapter.factors[target.path],
            jnp.asarray(adapter.scales(target)),
            target,
        )
        for target in adapter.targets
    }
    others = {
        path: leaf
        for path, leaf in leaves_by_path(params).items()
        if is_quantized(leaf) and path not in new
    }
    merged = with_leaves(params, new | {path: _floats(leaf) for path, leaf in others.items()})
    kernels = kernels | others
    return (merged, Kept(kernels)) if keep else merged


def unmerge(merged: Any, kept: Kept) -> Any:
    """Parameters as they were before `merge(..., keep=True)`, bit by bit.

    What was overwritten is put back, not subtracted: whatever else was done to those kernels since
    is gone with it. Other leaves stay as they are now.

    Raises:
        ConfigError: a kernel that the parameters have not, or of another shape or dtype.
    """
    if not isinstance(kept, Kept):
        raise ConfigError(
            "unmerge: expected merged parameters, and then what merge(..., keep=True) gave beside "
            f"them, found a {type(kept).__name__}"
        )
    leaves = leaves_by_path(merged)
    for path, kernel in kept.kernels.items():
        if path in leaves:
            expected, found = _form(kernel), _form(leaves[path])
            if expected != found:
                raise ConfigError(
                    f"unmerge: {path}: expected {expected}, found {found}; these are not the "
                    "parameters that the merge gave"
                )
    return with_leaves(merged, kept.kernels)


def merge_with_report(params: Any, adapter: Adapter) -> tuple[Any, dict[str, float]]:
    """Merged parameters, and how much of the update each module has lost.

    Returns:
        The parameters, and by the module's name `|lost update| / |update|`, the norms of what
        rounding to the kernel's dtype took from the update, and of the update; of modules whose
        kernels are narrower than float32 alone.
    """
    kernels = kernels_of(params, adapter)
    report: dict[str, float] = {}
    for target in adapter.targets:
        kernel = kernels[target.path]
        if jnp.finfo(kernel.dtype).bits >= 32:
            continue
        scales = jnp.asarray(adapter.scales(target))
        lost = _lost(kernel, adapter.factors[target.path], scales, target)
        for name, rank, ratio in zip(target.names, target.ranks, lost.reshape(-1), strict=True):
            if rank:
                report[name] = float(ratio)
    return merge(params, adapter), report


def kernels_of(params: Any, adapter: Adapter) -> dict[str, Any]:
    """The kernels that an adapter is for, by path.

    Raises:
        ConfigError: one is missing, or its shape is not that of the factors; or there is no
            adapter.
    """
    if not isinstance(adapter, Adapter):
        raise ConfigError(
            f"adapter: expected parameters, and then an Adapter, found a {type(adapter).__name__}"
        )
    leaves = leaves_by_path(params)
    kernels = {
        target.path: leaves[target.path] for target in adapter.targets if target.path in leaves
    }
    with_leaves(params, {target.path: None for target in adapter.targets})  # names what is missing
    for target in adapter.targets:
        shape, factors = tuple(np.shape(kernels[target.path])), adapter.factors[target.path]
        inputs, outputs = target.sizes(shape)
        expected = (*target.lead, inputs, target.rank), (*target.lead, target.rank, outputs)
        found = tuple(factors["a"].shape), tuple(factors["b"].shape)
        if expected != found or shape[: len(target.lead)] != target.lead:
            raise ConfigError(
                f"{target.path}: the kernel has shape {shape}, the factors {found[0]} and "
                f"{found[1]}; the adapter was made for another model"
            )
    return kernels


def merged_kernel(
    kernel: jax.Array | Quantized,
    factors: Mapping[str, jax.Array],
    scales: jax.Array,
    target: Target,
) -> jax.Array:
    """`kernel` with its adapter, in float32 at least; of one in few bits, what it stands for."""
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    inputs, outputs = target.sizes(kernel.shape)
    a, b = factors["a"].astype(wide), factors["b"].astype(wide)
    flat = plain(kernel).astype(wide).reshape(*target.lead, inputs, outputs)
    update = jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    found = flat + scales.astype(wide)[..., None, None] * update
    if "m" in factors:
        factor = column_factor(factors["m"], kernel, factors["a"], factors["b"], scales)
        found = found * factor.astype(wide)[..., None, :]
    return found.reshape(kernel.shape)


_floats = jax.jit(plain)


@partial(jax.jit, static_argnums=3)
def _merged(
    kernel: jax.Array | Quantized,
    factors: Mapping[str, jax.Array],
    scales: jax.Array,
    target: Target,
) -> jax.Array:
    return merged_kernel(kernel, factors, scales, target).astype(kernel.dtype)


@partial(jax.jit, static_argnums=3)
def _lost(
    kernel: jax.Array | Quantized,
    factors: Mapping[str, jax.Array],
    scales: jax.Array,
    target: Target,
) -> jax.Array:
    """`|lost| / |update|` of each layer, `[N]` or a scalar."""
    wide = merged_kernel(kernel, factors, scales, target)
    axes = tuple(range(len(target.lead), kernel.ndim))

    def norm(values: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum(values * values, axis=axes))

    lost = norm(wide - wide.astype(kernel.dtype).astype(wide.dtype))
    update = norm(wide - plain(kernel).astype(wide.dtype))
    return jnp.where(update > 0, lost / jnp.where(update > 0, update, 1), 0)


def _form(array: Any) -> str:
    return f"{array.dtype}{list(np.shape(array))}"
