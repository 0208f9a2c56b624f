"""All layers, one after the other: as a loop on the device, or written out.

    hidden, cache = run_layers(params["layers"], hidden, place, config, form="scan", ...)

Parameters lie stacked, `[N, ...]`, for both. The loop compiles one layer; written out, XLA plans
memory and threads over all of them.

Axes: N layers, T tokens, D width.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxtrain.models.attention import Implementation
from jaxtrain.models.decoder.block import Place, attend, feed_forward
from jaxtrain.models.decoder.cache import KVCache
from jaxtrain.models.decoder.config import DecoderConfig
from jaxtrain.models.decoder.remat import Remat, remat_layer, remat_mlp
from jaxtrain.parallel import gathered

Form = Literal["scan", "unroll"]


def run_layers(
    layers: Any,
    hidden: jax.Array,
    place: Place,
    config: DecoderConfig,
    *,
    form: Form,
    remat: Remat,
    implementation: Implementation,
    cache: KVCache | None = None,
) -> tuple[jax.Array, KVCache | None]:
    """`hidden` `[T, D]` through all layers, and the cache with its tokens in it.

    Args:
        layers: their parameters, each `[N, ...]`.
        hidden: `[T, D]`.
        place: where the tokens are.
        config: the sizes.
        form: "scan" or "unroll".
        remat: what is kept for the backward pass; without effect where there is a cache.
        implementation: the attention kernel.
        cache: keys and values of earlier tokens, or None.
    """
    if cache is not None:
        return _run_cached(layers, hidden, place, config, implementation, cache, form)

    def layer(params: Any, hidden: jax.Array, place: Place) -> jax.Array:
        params = gathered(params, path="layers", stacked=1)
        added, _ = attend(params["attention"], hidden, place, config, implementation=implementation)
        hidden = hidden + added

        def mlp(params: Any, hidden: jax.Array) -> jax.Array:
            return feed_forward(params, hidden, config)

        return hidden + remat_mlp(mlp, remat)(params["mlp"], hidden)

    step = remat_layer(layer, remat)
    if form == "unroll":
        for params in unstack(layers):
            hidden = step(params, hidden, place)
        return hidden, None
    hidden, _ = jax.lax.scan(lambda h, params: (step(params, h, place), None), hidden, layers)
    return hidden, None


def _run_cached(
    layers: Any,
    hidden: jax.Array,
    place: Place,
    config: DecoderConfig,
    implementation: Implementation,
    cache: KVCache,
    form: Form,
) -> tuple[jax.Array, KVCache]:
    def layer(
        carry: tuple[jax.Array, KVCache], each: tuple[Any, int | jax.Array]
    ) -> tuple[tuple[jax.Array, KVCache], None]:
        hidden, cache = carry
        params, number = each
        added, written = attend(
            params["attention"],
            hidden,
            place,
            config,
            implementation=implementation,
            cache=(cache, number),
        )
        assert written is not None
        hidden = hidden + added
        return (hidden + feed_forward(params["mlp"], hidden, config), written), None

    # The whole cache is carried and written in place; scanned over, it would be copied.
    if form == "unroll":
        for number, params in enumerate(unstack(layers)):
            (hidden, cache), _ = layer((hidden, cache), (params, number))
        return hidden, cache
    numbers = jnp.arange(config.layers, dtype=jnp.int32)
    (hidden, cache), _ = jax.lax.scan(layer, (hidden, cache), (layers, numbers))
    return hidden, cache


def unstack(stacked: Any) -> list[Any]:
    """A tree of `[N, ...]` as N trees of `[...]`, the gradients stacked once.

    Taken out one by one by an index, each layer would cost a pad and an add over all layers in the
    backward pass.

    >>> [layer["kernel"].tolist() for layer in unstack({"kernel": jnp.ones((2, 3))})]
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    leaves, treedef = jax.tree.flatten(stacked)
    taken = [
        _unstacked(leaf) if jnp.issubdtype(leaf.dtype, jnp.inexact) else tuple(leaf)
        for leaf in leaves  # integers and random keys have no gradient
    ]
    return [jax.tree.unflatten(treedef, layer) for layer in zip(*taken, strict=True)]


@jax.custom_vjp
def _unstacked(leaf: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(leaf[number] for number in range(leaf.shape[0]))


_unstacked.defvjp(
    lambda leaf: (_unstacked(leaf), None),
    lambda _, cotangents: (jnp.stack(cotangents),),
)
