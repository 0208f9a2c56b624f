"""Linen's own layers with a `LowRank` where their kernel stood.

    params, found = without_low_rank(params)      # kernels alone, and the LowRanks by path
    with low_rank_layers(found):
        outputs = module.apply({"params": params}, inputs)

A layer computes what it would without an adapter, and what the adapter adds comes behind it, by
`flax.linen.intercept_methods`. So no layer is written again here, and a kernel that no known layer
reads is an error, never an adapter without effect.

Axes: I inputs, O outputs, V entries of an embedding, D its width, C the ranks together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.models.low_rank import (
    LowRank,
    adapted,
    dropped,
    joined_a,
    joined_b,
    norm_factor,
    weighed,
)
from jaxtrain.models.quantized import Quantized, is_quantized
from jaxtrain.models.quantized import plain as floats

Layer = Callable[[nn.Module, LowRank, jax.Array, Callable[[jax.Array], jax.Array]], jax.Array]
"""`layer(module, kernel, inputs, call)`: what `call(inputs)` gives, with the adapter."""


def without_low_rank(params: Any) -> tuple[Any, dict[str, LowRank]]:
    """A tree with kernels alone, in floats, and what stood in the place of some, by path."""
    found: dict[str, LowRank] = {}

    def plain(path: Any, leaf: Any) -> Any:
        if not isinstance(leaf, LowRank):
            return floats(leaf)
        found[jax.tree_util.keystr(path, simple=True, separator="/")] = leaf
        return jax.lax.stop_gradient(floats(leaf.kernel))

    def is_kernel(leaf: Any) -> bool:
        return isinstance(leaf, (LowRank, Quantized))

    return jax.tree_util.tree_map_with_path(plain, params, is_leaf=is_kernel), found


@contextlib.contextmanager
def low_rank_layers(found: Mapping[str, LowRank]) -> Iterator[None]:
    """Layers called in here have these adapters.

    Raises:
        ConfigError: (at the end) for those that no layer has used.
    """
    if not found:
        yield
        return
    used: set[str] = set()
    busy = False

    def intercept(
        call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        nonlocal busy
        known = None if busy else _known(context)
        kernel = found.get(known.path) if known is not None else None
        if known is None or kernel is None or not known.reads(kernel.kernel.shape):
            return call(*args, **kwargs)
        used.add(known.path)
        inputs: jax.Array = (list(args) + list(kwargs.values()))[0]
        # What a layer calls for its adapter's sake has none itself.
        busy = True
        try:
            return known.layer(context.module, kernel, inputs, call)
        finally:
            busy = False

    with nn.intercept_methods(intercept):
        yield
    if unused := sorted(found.keys() - used):
        raise ConfigError(
            "an adapter stands at kernels that no layer of Linen's own reads as they are:\n  "
            + "\n  ".join(unused)
            + '\nMerge it into the kernels (lora.model(..., form="merge")), or exclude them. Known '
            "are Dense, DenseGeneral, Conv and Embed, outside of nn.scan and nn.vmap"
        )


def readable(
    apply: Callable[[Any, Any], Any], variables: Mapping[str, Any], batch: Mapping[str, Any]
) -> frozenset[str]:
    """The kernels, by path, that known layers read while `apply(variables, batch)` is traced.

    Shapes are enough, of variables and batch alike.
    """
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"], is_leaf=is_quantized)
    names = ((jax.tree_util.keystr(p, simple=True, separator="/"), leaf) for p, leaf in leaves)
    shapes = {name: np.shape(leaf) for name, leaf in names}
    found: set[str] = set()

    def intercept(
        call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        known = _known(context)
        outputs = call(*args, **kwargs)
        # Inside a loop over stacked layers the layer's own kernel has an axis less.
        if known is not None and known.path in shapes and known.reads(shapes[known.path]):
            found.add(known.path)
        return outputs

    with nn.intercept_methods(intercept):
        jax.eval_shape(apply, dict(variables), dict(batch))
    return frozenset(found)


class _Known(NamedTuple):
    """A call of a known layer: where its kernel is, and what the adapter does to it."""

    path: str
    layer: Layer
    reads: Callable[[tuple[int, ...]], bool]


def _known(context: nn.module.InterceptorContext) -> _Known | None:
    module, method = context.module, context.method_name
    fitting = [
        (kind, layer)
        for (kind, name), layer in _LAYERS.items()
        # A subclass with a method of its own may compute anything.
        if method == name and getattr(type(module), name, None) is getattr(kind, name)
    ]
    if not fitting:
        return None
    kind, layer = fitting[0]
    if isinstance(module, nn.DenseGeneral) and module.batch_dims:
        return None
    if isinstance(module, nn.Conv) and (module.feature_group_count != 1 or module.mask is not None):
        return None
    leaf = "embedding" if kind is nn.Embed else "kernel"

    def reads(shape: tuple[int, ...]) -> bool:
        own = module.variables.get("params", {}).get(leaf)
        return own is not None and jnp.shape(nn.meta.unbox(own)) == shape

    return _Known("/".join((*module.path, leaf)), layer, reads)


def _dense(
    module: Any, kernel: LowRank, inputs: jax.Array, call: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Dense and DenseGeneral: the axes that are contracted are put last and made one."""
    outputs = call(inputs)
    given = getattr(module, "axis", -1)
    axes = tuple(a % inputs.ndim for a in ((given,) if isinstance(given, int) else given))
    rest = tuple(a for a in range(inputs.ndim) if a not in axes)
    size = int(np.prod([inputs.shape[a] for a in axes]))
    if size != kernel.a.shape[-2]:
        raise ConfigError(
            f"{'.'.join(module.path)}: the layer contracts {len(axes)} axes, of {size} inputs "
            f"together; the adapter has {kernel.a.shape[-2]}; say in_axes={{{module.name!r}: "
            f"{len(axes)}}}"
        )
    flat = inputs.transpose(*rest, *axes).reshape(-1, size).astype(outputs.dtype)
    low = dropped(flat, kernel) @ joined_a(kernel).astype(flat.dtype)
    return _behind(module, kernel, outputs, low)


def _conv(
    module: Any, kernel: LowRank, inputs: jax.Array, call: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """A convolution to C features with the same window, and one of 1 x 1 behind it."""
    outputs = call(inputs)
    a = joined_a(kernel).astype(outputs.dtype)
    narrow = module.clone(features=a.shape[-1], use_bias=False, parent=None, name=None)
    window = a.reshape(*kernel.kernel.shape[:-1], a.shape[-1])
    low = narrow.apply(
        {"params": {"kernel": window}}, dropped(inputs.astype(outputs.dtype), kernel)
    )
    return _behind(module, kernel, outputs, low.reshape(-1, a.shape[-1]))


def _embed(
    module: Any, kernel: LowRank, inputs: jax.Array, call: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """A row of a for each number. There is nothing to drop: its inputs are numbers."""
    outputs = call(inputs)
    low = jnp.take(joined_a(kernel).astype(outputs.dtype), inputs.reshape(-1), axis=0)
    return _behind(module, kernel, outputs, low)


def _attend(
    module: Any, kernel: LowRank, query: jax.Array, call: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """`query` `[..., D]` against each row of the embedding `[V, D]`: the factors turned round."""
    tokens = int(np.prod(query.shape[:-1]))
    factor = norm_factor(kernel, tokens)
    if factor is not None:
        flat = query.reshape(tokens, -1).astype(jnp.float32)
        query = (flat * factor).astype(query.dtype).reshape(query.shape)
    outputs = call(query)
    a, b = (part.astype(outputs.dtype) for part in (joined_a(kernel), joined_b(kernel)))
    low = query.reshape(tokens, -1).astype(outputs.dtype) @ b.T
    added = weighed(low, kernel).astype(outputs.dtype) @ a.T
    return outputs + added.reshape(outputs.shape)


def _behind(module: Any, kernel: LowRank, outputs: jax.Array, low: jax.Array) -> jax.Array:
    """What the layer gave `[..., O]`, with the adapter."""
    features = kernel.b.shape[-1]
    bias = module.variables["params"].get("bias")
    bias = None if bias is None else nn.meta.unbox(bias).reshape(-1)
    found = adapted(outputs.reshape(-1, features), low, kernel, bias)
    return found.reshape(outputs.shape)


_LAYERS: dict[tuple[type[nn.Module], str], Layer] = {
    (nn.Dense, "__call__"): _dense,
    (nn.DenseGeneral, "__call__"): _dense,
    (nn.Conv, "__call__"): _conv,
    (nn.Embed, "__call__"): _embed,
    (nn.Embed, "attend"): _attend,
}
