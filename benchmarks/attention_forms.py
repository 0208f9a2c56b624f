"""The forms of attention, forward and back: what the rule of `models/attention.py` rests on.

    times = attention_times(length=256)
    times["tiled"].wall, times["xla"].wall       # milliseconds a call

No command of its own yet; the language model's benchmark is to show it.

Axes: B batch, L length, H query heads, G key/value heads, E head size.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.models.attention import Implementation, attention


class Times(NamedTuple):
    """Milliseconds of a call: of a clock on the wall, and of all processor cores together.

    The second hardly depends on what else the machine does.
    """

    wall: float
    processor: float


def attention_times(
    *,
    length: int,
    batch: int = 8,
    heads: int = 6,
    kv_heads: int = 6,
    head_dim: int = 64,
    dtype: Any = "float32",
    forms: Sequence[Implementation] = ("xla", "tiled"),
    packed: bool = False,
    seconds: float = 10.0,
) -> dict[str, Times]:
    """The quickest of several calls of each form, forward and back.

    Args:
        length: L.
        batch: B.
        heads: H.
        kv_heads: G.
        head_dim: E.
        dtype: of queries, keys and values.
        forms: which; they take turns.
        packed: whether each row holds two documents.
        seconds: how long to measure all of them together; each is called three times at least.
    """
    rng = np.random.default_rng(0)
    shapes = [(batch, length, n, head_dim) for n in (heads, kv_heads, kv_heads, heads)]
    *inputs, factor = (jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)
    segments = jnp.asarray(np.arange(length) * 2 // length + 1, jnp.int32)
    segments = jnp.broadcast_to(segments, (batch, length)) if packed else None

    def total(form: Implementation, q: Any, k: Any, v: Any) -> jax.Array:
        out = attention(q, k, v, segments=segments, implementation=form)
        return jnp.sum((out * factor).astype(jnp.float32))

    calls = {
        form: jax.jit(jax.grad(functools.partial(total, form), argnums=(0, 1, 2))) for form in forms
    }
    for call in calls.values():
        jax.block_until_ready(call(*inputs))
    found: dict[str, list[Times]] = {form: [] for form in forms}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found[forms[-1]]) < 3:
        for form, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            jax.block_until_ready(call(*inputs))
            found[form].append(
                Times(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor))
            )
    return {form: Times(*map(min, zip(*times, strict=True))) for form, times in found.items()}
