"""An adapter beside the kernels: parameters whose kernels are `LowRank`s.

    model.apply({"params": apply(params, adapter)}, batch, train=False)
    model.apply({"params": apply(params, adapter, train=True, rng=key)}, batch, train=True)
    model.apply({"params": apply_by_row(params, [one, other], rows)}, batch, train=False)

For our decoder, for Linen's own layers and for whoever calls `dense`; of another model the adapter
is merged.

Axes: N layers of a stack, I inputs, O outputs, R rank, K adapters, B rows of the batch.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.lora.adapter import Adapter
from jaxtrain.lora.merging import kernels_of
from jaxtrain.lora.targets import Target, with_leaves
from jaxtrain.models.low_rank import LowRank, column_norms


def apply(
    params: Any, adapter: Adapter, *, train: bool = False, rng: jax.Array | None = None
) -> Any:
    """The parameters with a `LowRank` in the place of each kernel that has an adapter.

    Args:
        params: what the adapter was made for.
        adapter: the adapter.
        train: drop some of the inputs of the low-rank branch, as the adapter's config says.
        rng: a key for that.

    Raises:
        ConfigError: the adapter does not fit the parameters; or there is something to drop, and no
            key.
    """
    dropout = adapter.config.dropout if train else 0.0
    if dropout and rng is None:
        raise ConfigError(f"dropout: {dropout} in training needs a key; give rng=")
    kernels = kernels_of(params, adapter)

    def low_rank(target: Target) -> LowRank:
        factors = adapter.factors[target.path]
        key = None
        # What is looked up has numbers for inputs; PEFT drops nothing there, either.
        if dropout and rng is not None and not target.embedding:
            key = jax.random.fold_in(rng, zlib.crc32(target.path.encode()))
            key = jax.random.split(key, target.lead) if target.stacked else key
        return LowRank(
            kernel=kernels[target.path],
            a=factors["a"],
            b=factors["b"],
            scale=jnp.asarray(adapter.scales(target)),
            magnitude=factors.get("m"),
            key=key,
            dropout=dropout if key is not None else 0.0,
        )

    return with_leaves(params, {target.path: low_rank(target) for target in adapter.targets})


def apply_by_row(params: Any, adapters: Sequence[Adapter], rows: jax.Array) -> Any:
    """Parameters with several adapters on one base, of which each row of a batch has one.

    All of them are computed for all rows, side by side, and those that are not the row's are
    multiplied by 0: no weights are gathered. Adapters may differ in targets, rank and alpha.

    Args:
        params: what the adapters were made for.
        adapters: K of them.
        rows: `[B]` integers, which of them each row has; -1 is the base alone. Of a number that is
            no adapter's the row becomes NaN.

    Raises:
        ConfigError: an adapter does not fit the parameters, or the others.
    """
    if not adapters:
        raise ConfigError("apply_by_row: expected one adapter at least, found none")
    if jnp.ndim(rows) != 1 or not jnp.issubdtype(jnp.asarray(rows).dtype, jnp.integer):
        raise ConfigError(
            "rows: expected the number of an adapter for each row, integers [B], found "
            f"{jnp.asarray(rows).dtype}{list(jnp.shape(rows))}"
        )
    rows = jnp.asarray(rows, jnp.int32)
    found: dict[str, dict[int, Target]] = {}
    kernels: dict[str, Any] = {}
    for number, adapter in enumerate(adapters):
        kernels |= kernels_of(params, adapter)
        for target in adapter.targets:
            found.setdefault(target.path, {})[number] = target

    def low_rank(path: str, having: dict[int, Target]) -> LowRank:
        (first, target), *others = having.items()
        for number, other in others:
            if (other.names, other.in_axes) != (target.names, target.in_axes):
                raise ConfigError(
                    f"{path}: adapter {number} takes it for other layers, or other inputs, than "
                    f"adapter {first} does"
                )
        own = jnp.broadcast_to(rows, (*target.lead, len(rows)))
        parts = _side_by_side(adapters, having, kernels)
        return LowRank(
            kernel=kernels[path],
            a=parts["a"],
            b=parts["b"],
            scale=parts["scale"],
            magnitude=parts.get("magnitude"),
            rows=own,
        )

    return with_leaves(params, {path: low_rank(path, having) for path, having in found.items()})


def _side_by_side(
    adapters: Sequence[Adapter], having: dict[int, Target], kernels: dict[str, Any]
) -> dict[str, jax.Array]:
    """The factors of all adapters for one kernel: `[..., K, I, R]` and so on, R the largest."""
    some = next(iter(having.values()))
    kernel, axis = kernels[some.path], len(some.lead)
    inputs, outputs = some.sizes(np.shape(kernel))
    rank = max(target.rank for target in having.values())
    dora = any(adapters[number].config.dora for number in having)
    parts: dict[str, list[jax.Array]] = {"a": [], "b": [], "scale": [], "magnitude": []}
    for number, adapter in enumerate(adapters):
        a = jnp.zeros((*some.lead, inputs, rank))
        b = jnp.zeros((*some.lead, rank, outputs))
        scale, magnitude = jnp.zeros(some.lead), jnp.zeros((*some.lead, outputs))
        if number in having:
            target, factors = having[number], adapter.factors[some.path]
            a = a.at[..., : target.rank].set(factors["a"].astype(a.dtype))
            b = b.at[..., : target.rank, :].set(factors["b"].astype(b.dtype))
            scale = jnp.asarray(adapter.scales(target))
            if dora:
                # One without magnitudes beside one with them keeps the norms that it has.
                own = factors.get("m")
                magnitude = column_norms(kernel, a, b, scale) if own is None else own
        for key, value in (("a", a), ("b", b), ("scale", scale), ("magnitude", magnitude)):
            parts[key].append(value)
    if not dora:
        del parts["magnitude"]
    return {key: jnp.stack(each, axis=axis) for key, each in parts.items()}
