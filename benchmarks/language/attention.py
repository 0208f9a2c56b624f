"""The forms of attention, forward and back: what the rule of `models/attention.py` rests on.

    for record in measure(Shape(), seconds=5.0): ...

Lengths around that of the shape, with as many tokens in a batch as it has; rows of one document,
and of two. Forms take turns; beside their times stands which of them the rule chooses.

Axes: B batch, L length, H query heads, G key/value heads, E head size.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.language.shape import Shape
from benchmarks.machine import is_out_of_memory
from benchmarks.processes import OwnProcess
from jaxtrain.errors import ConfigError
from jaxtrain.models.attention import (
    IMPLEMENTATIONS,
    Implementation,
    attention,
    choose,
    device_facts,
)

# At least, of each form.
_CALLS = 3


def measure(shape: Shape, *, seconds: float, cores: int | None = None) -> Iterator[dict[str, Any]]:
    """The record after each length.

    Args:
        shape: heads, and the length in the middle.
        seconds: about how long each length is measured.
        cores: how many may be used; all by default.
    """
    found: dict[str, Any] = {}
    with OwnProcess("attention", cores=cores) as process:
        for length in (shape.length // 2, *(shape.length * times for times in (1, 2, 4))):
            for packed in (False, True):
                name, sizes = of_length(shape, length, packed=packed)
                found[name] = process.call(forms, sizes, "float32", packed, seconds)
                yield {"dtype": "float32", "lengths": found}


def of_length(shape: Shape, length: int, *, packed: bool = False) -> tuple[str, dict[str, int]]:
    """A name, and the sizes that `forms` wants."""
    config = shape.config()
    sizes = {
        "batch": max(1, shape.tokens // length),
        "length": length,
        "heads": config.heads,
        "kv_heads": config.kv_heads,
        "head_dim": config.head_dim,
    }
    return f"L={length}, B={sizes['batch']}{', packed' if packed else ''}", sizes


def table(record: dict[str, Any]) -> list[str]:
    lines = [f"attention, {record['dtype']}: milliseconds, milliseconds of all processor cores"]
    for name, found in record["lengths"].items():
        lines.append(f" {name}: the rule takes {found['chosen']}, {found['fastest']} is fastest")
        lines += [
            f"  {form:8}{times['clock']:10.1f}{times['processor']:10.1f}"
            for form, times in found["milliseconds"].items()
        ]
    return lines


def forms(sizes: dict[str, int], dtype: str, packed: bool, seconds: float) -> dict[str, Any]:
    """Medians of the calls of each form that can run here, forward and back.

    Args:
        sizes: B, L, H, G and E by their names.
        dtype: of queries, keys and values.
        packed: whether each row holds two documents.
        seconds: how long to measure all of them together; each is called three times at least.

    Returns:
        `milliseconds` by form, of the clock and of all processor cores together (the second hardly
        depend on what else the machine does); `temporary_bytes` by form, what XLA sets aside; which
        form is `fastest`, which is `chosen` by the rule and why; which are `too_large` for the
        device's memory.
    """
    facts = {"dtype": dtype, "head_dim": sizes["head_dim"], "length": sizes["length"]}
    rule = functools.partial(choose, packed=packed, **facts, **device_facts())
    rng = np.random.default_rng(0)
    shapes = [
        (sizes["batch"], sizes["length"], sizes[heads], sizes["head_dim"])
        for heads in ("heads", "kv_heads", "kv_heads", "heads")
    ]
    *inputs, factor = (jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)
    segments = jnp.asarray(np.arange(sizes["length"]) * 2 // sizes["length"] + 1, jnp.int32)
    segments = jnp.broadcast_to(segments, shapes[0][:2]) if packed else None

    def total(form: Implementation, q: Any, k: Any, v: Any) -> jax.Array:
        out = attention(q, k, v, segments=segments, implementation=form)
        return jnp.sum((out * factor).astype(jnp.float32))

    calls, too_large = {}, []
    for form in (form for form in IMPLEMENTATIONS if _can_run(rule, form)):
        call = jax.jit(jax.grad(functools.partial(total, form), argnums=(0, 1, 2)))
        try:
            calls[form] = call.lower(*inputs).compile()
            jax.block_until_ready(calls[form](*inputs))
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            calls.pop(form, None)
            too_large.append(form)
    taken = _in_turns(calls, inputs, seconds)
    medians = {
        form: {
            "clock": statistics.median(clock for clock, _ in each),
            "processor": statistics.median(processor for _, processor in each),
            "calls": len(each),
        }
        for form, each in taken.items()
    }
    choice = rule("auto")
    return {
        "milliseconds": medians,
        "temporary_bytes": {
            form: call.memory_analysis().temp_size_in_bytes for form, call in calls.items()
        },
        "too_large": too_large,
        "fastest": min(medians, key=lambda form: medians[form]["clock"]),
        "chosen": choice.name,
        "why": choice.why,
    }


def _in_turns(
    calls: dict[Any, Any], inputs: Sequence[jax.Array], seconds: float
) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of the clock and of all cores, call by call."""
    found: dict[str, list[tuple[float, float]]] = {form: [] for form in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(found.values()))) < _CALLS:
        for form, call in calls.items():
            clock, processor = time.perf_counter(), time.process_time()
            jax.block_until_ready(call(*inputs))
            found[form].append(
                (1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - processor))
            )
    return found


def _can_run(rule: Any, form: Implementation) -> bool:
    try:
        rule(form)
    except ConfigError:
        return False
    return True
