"""How an adapter begins.

    adapter = init(jax.random.key(0), params, config)                # changes nothing yet
    params, adapter = init_pissa(jax.random.key(0), params, config)  # params lack what adapter has

What is drawn for a kernel depends on the key and its path alone: to adapt one more changes no
other.

Axes: N layers of a stack, I inputs, O outputs, R rank.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.targets import Target, find_targets, leaves_by_path, with_leaves
from jaxtrain.models.low_rank import column_norms
from jaxtrain.models.quantized import is_quantized
from jaxtrain.sharding import is_sharded, spec_of


def init(rng: jax.Array, params: Any, config: LoRAConfig, *, dtype: Any = "float32") -> Adapter:
    """A fresh adapter, with which no output is another.

    One of the factors is zero: b, and for an embedding a, as in PEFT. May be traced.

    Args:
        rng: a key.
        params: arrays, or whatever has a shape and a dtype; with DoRA their values count.
        config: what to adapt, and how.
        dtype: of the factors. Kernels may be narrower: what is trained is small beside them.

    Raises:
        ConfigError: see `find_targets`; or the adapter depends on values that are not there.
    """
    if config.init == "pissa":
        raise ConfigError(
            'init: with "pissa" the parameters change, too: params, adapter = '
            "lora.init_pissa(rng, params, config)"
        )
    leaves = leaves_by_path(params)
    targets = find_targets(params, config)
    shapes = tuple(tuple(np.shape(leaves[target.path])) for target in targets)
    factors = {
        target.path: {key: laid_out(x, leaves[target.path], target, key) for key, x in own.items()}
        for target, own in zip(targets, _drawn(rng, targets, shapes, config, dtype), strict=True)
    }
    return _with_magnitudes(Adapter(factors, config, targets), params)


def init_pissa(
    rng: jax.Array, params: Any, config: LoRAConfig, *, dtype: Any = "float32"
) -> tuple[Any, Adapter]:
    """An adapter of the largest singular directions of each kernel, and parameters without them
    (Meng et al. 2024, arXiv:2404.02948): together they are what the parameters were.

    Args:
        rng: not used, since nothing is drawn; here as it is for `init`.
        params: arrays.
        config: with `init="pissa"`.
        dtype: of the factors.

    Returns:
        The new parameters, in their own dtypes, those without an adapter the same arrays; and the
        adapter.

    Raises:
        ConfigError: see `find_targets`; or a rank larger than the kernel's.
    """
    if config.init != "pissa":
        raise ConfigError(f'init: expected "pissa", found {config.init!r}; take lora.init for that')
    leaves = leaves_by_path(params)
    targets = find_targets(params, config)
    bare = Adapter({}, config, targets)
    factors: dict[str, dict[str, jax.Array]] = {}
    rest: dict[str, jax.Array] = {}
    for target in targets:
        kernel = leaves[target.path]
        if is_quantized(kernel):
            raise ConfigError(
                f"init: pissa takes from {target.path} what it begins with, and that is in "
                f"{kernel.bits}; begin with the floats, and quantise what is left of them"
            )
        a, b = _principal(kernel, target, bare.scales(target))
        factors[target.path] = {
            "a": laid_out(a.astype(dtype), kernel, target, "a"),
            "b": laid_out(b.astype(dtype), kernel, target, "b"),
        }
        scale = jnp.asarray(bare.scales(target))[..., None, None]
        a, b = (factors[target.path][key].astype(jnp.float32) for key in "ab")
        less = scale * jnp.matmul(a, b, precision="highest")
        rest[target.path] = (kernel.astype(jnp.float32) - less.reshape(kernel.shape)).astype(
            kernel.dtype
        )
    params = with_leaves(params, rest)
    return params, _with_magnitudes(Adapter(factors, config, targets), params)


_norms = jax.jit(column_norms)


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _drawn(
    rng: jax.Array,
    targets: tuple[Target, ...],
    shapes: tuple[tuple[int, ...], ...],
    config: LoRAConfig,
    dtype: Any,
) -> list[dict[str, jax.Array]]:
    """The factors of kernels of these shapes, all in one program."""

    def draw(target: Target, shape: tuple[int, ...]) -> dict[str, jax.Array]:
        inputs, outputs = target.sizes(shape)
        sizes = {
            "a": (*target.lead, inputs, target.rank),
            "b": (*target.lead, target.rank, outputs),
        }
        key = jax.random.fold_in(rng, zlib.crc32(target.path.encode()))
        if target.embedding:
            b = jax.random.normal(key, sizes["b"], jnp.float32) * _mask(target, "b")
            return {"a": jnp.zeros(sizes["a"], dtype), "b": b.astype(dtype)}
        if config.init == "gaussian":
            ranks = np.maximum(np.asarray(target.ranks, np.float32), 1)
            a = jax.random.normal(key, sizes["a"], jnp.float32) / ranks.reshape(*target.lead, 1, 1)
        else:
            a = jax.random.uniform(key, sizes["a"], jnp.float32, -1, 1) / np.float32(inputs**0.5)
        a = a * _mask(target, "a")
        return {"a": a.astype(dtype), "b": jnp.zeros(sizes["b"], dtype)}

    return [draw(target, shape) for target, shape in zip(targets, shapes, strict=True)]


def _mask(target: Target, factor: str) -> np.ndarray:
    """1 up to the rank of each layer, then 0: `[..., 1, R]` for a, `[..., R, 1]` for b."""
    ranks = np.asarray(target.ranks).reshape(*target.lead, 1)
    mask = (np.arange(target.rank) < ranks).astype(np.float32)
    return mask[..., None, :] if factor == "a" else mask[..., None]


def _principal(
    kernel: Any, target: Target, scales: np.ndarray | jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The largest singular directions, half of each singular value on either side."""
    inputs, outputs = target.sizes(kernel.shape)
    if target.rank > min(inputs, outputs):
        raise ConfigError(
            f"rank: {target.names[0]} has {min(inputs, outputs)} singular values, found rank "
            f"{target.rank}; pissa can't begin with more"
        )
    flat = kernel.astype(jnp.float32).reshape(*target.lead, inputs, outputs)
    u, values, v = jnp.linalg.svd(flat, full_matrices=False)
    scales = jnp.where(scales > 0, scales, 1)
    roots = jnp.sqrt(values[..., : target.rank] / scales[..., None])
    a = u[..., : target.rank] * roots[..., None, :] * _mask(target, "a")
    b = v[..., : target.rank, :] * roots[..., None] * _mask(target, "b")
    return a, b


def _with_magnitudes(adapter: Adapter, params: Any) -> Adapter:
    """With DoRA: the norms that the columns have now, so that nothing changes."""
    if not adapter.config.dora:
        return adapter
    leaves = leaves_by_path(params)
    factors = {}
    for target in adapter.targets:
        kernel, own = leaves[target.path], adapter.factors[target.path]
        if isinstance(kernel, jax.ShapeDtypeStruct):
            raise ConfigError(
                f"dora: the magnitudes of {target.path} are norms of the kernel, of which only the "
                "shape is there; give arrays, or trace init by jax.eval_shape"
            )
        norms = _norms(kernel, own["a"], own["b"], jnp.asarray(adapter.scales(target)))
        is_adapted = np.asarray(target.ranks).reshape(*target.lead, 1) > 0
        # A layer without an adapter keeps 0, which weight decay leaves as it is.
        norms = jnp.where(is_adapted if target.stacked else True, norms, 0)
        norms = laid_out(norms.astype(own["a"].dtype), kernel, target, "m")
        factors[target.path] = own | {"m": norms}
    return Adapter(factors, adapter.config, adapter.targets)


def laid_out(factor: jax.Array, kernel: Any, target: Target, name: str) -> jax.Array:
    """A factor on the devices of its kernel: the axis that they have in common as the kernel's."""
    kernel = kernel.values if is_quantized(kernel) else kernel
    axes = len(np.shape(kernel)) - len(target.lead)
    alone = target.in_axes == 1 if name == "a" else axes - target.in_axes == 1
    typed = isinstance(kernel, jax.core.Tracer)
    if typed and not is_sharded(kernel):
        return factor
    sharding = jax.typeof(kernel).sharding if typed else getattr(kernel, "sharding", None)
    if not isinstance(sharding, NamedSharding):
        return factor
    given = spec_of(kernel) if typed else tuple(sharding.spec)
    spec = given + (None,) * (len(np.shape(kernel)) - len(given))
    lead = spec[: len(target.lead)]
    shared = (spec[len(target.lead)] if name == "a" else spec[-1]) if alone else None
    rest = {"a": (shared, None), "b": (None, shared), "m": (shared,)}[name]
    own = PartitionSpec(*lead, *rest)
    layout = NamedSharding(sharding.mesh, own)
    return jax.sharding.reshard(factor, layout) if typed else jax.device_put(factor, layout)
