"""Gigabytes a second that are merged, beside a plain copy of the same arrays."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.language.shape import Shape
from benchmarks.processes import OwnProcess

ROUNDS = 7


def measure(shape: Shape, *, cores: int | None = None) -> dict[str, Any]:
    """Of a tree of that shape: merging, merging and keeping, and a copy; in turns."""
    with OwnProcess("jaxtrain", cores=cores) as process:
        found: dict[str, Any] = process.call(merged, shape)
    return found


def merged(shape: Shape) -> dict[str, Any]:
    """In its own process."""
    import jax
    import jax.numpy as jnp

    from benchmarks.adapters.with_jaxtrain import CONFIG
    from jaxtrain import lora
    from jaxtrain.lora.targets import leaves_by_path
    from jaxtrain.models.decoder import initial_params

    params = initial_params(jax.random.key(0), shape.config())
    adapter = lora.init(jax.random.key(1), params, CONFIG)
    adapter = jax.tree.map(lambda leaf: leaf + 0.01, adapter)
    copy = jax.jit(lambda kernels: jax.tree.map(jnp.copy, kernels))
    leaves = leaves_by_path(params)
    kernels = {target.path: leaves[target.path] for target in adapter.targets}
    bytes_ = sum(leaf.nbytes for leaf in kernels.values())
    ways: dict[str, Callable[[], Any]] = {
        "copy": lambda: copy(kernels),
        "merge": lambda: lora.merge(params, adapter),
        "unmerge": lambda: lora.unmerge(*lora.merge(params, adapter, keep=True)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            jax.block_until_ready(way())
            if number:
                seconds[name].append(time.perf_counter() - began)
    rates = {name: bytes_ / statistics.median(took) / 1e9 for name, took in seconds.items()}
    return {
        "kernel_bytes": bytes_,
        "gigabytes_a_second": rates,
        "merge_takes_copies": statistics.median(
            m / c for m, c in zip(seconds["merge"], seconds["copy"], strict=True)
        ),
    }


def table(record: dict[str, Any]) -> list[str]:
    rates = record["gigabytes_a_second"]
    lines = [f"merging {record['kernel_bytes'] / 1e6:,.0f} MB of kernels: GB a second"]
    lines += [f"  {name:24}{rate:10.2f}" for name, rate in rates.items()]
    return [*lines, f"  a merge takes as long as {record['merge_takes_copies']:.1f} copies"]
