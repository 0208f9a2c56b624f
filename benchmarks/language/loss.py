"""The loss of a language model, tile by tile and all at once: memory, and seconds.

    for record in measure([(4096, 384, 2048), (32_000, 384, 2048)], rounds=5): ...

One figure is of the memory that XLA sets aside for the loss and its gradient besides what goes in
and comes out, the other is of the time that takes, forward and backward: of the clock, and of all
cores together, which other processes on the machine disturb less. The forms take turns, round by
round.

"Plain" has the logits of all tokens in memory, in float32 as a loss needs them.

Axes: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.processes import OwnProcess
from jaxtrain.models.token_losses import token_losses

Z_LOSS = 1e-4
TILES = (256, 512, 1_024, 2_048)
PLAIN = "plain"


def measure(
    shapes: Sequence[tuple[int, int, int]],
    *,
    rounds: int,
    dtype: str = "float32",
    cores: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The record of all forms, more shapes of it each time.

    Args:
        shapes: V, D and T.
        rounds: how many times each form has its turn.
        dtype: of hidden states and head.
        cores: how many may be used; all by default.
    """
    measured = []
    for shape in shapes:
        tiles = [tile for tile in TILES if tile <= shape[2]] or [shape[2]]
        # One of its own for each, since nothing is given back by a process that had gigabytes.
        with OwnProcess("the loss", cores=cores) as process:
            found = process.call(forms, [PLAIN, *tiles], shape, dtype, rounds)
        measured.append({"shape": dict(zip("VDT", shape, strict=True)), "forms": found})
        yield {"dtype": dtype, "shapes": list(measured)}


def table(record: dict[str, Any]) -> list[str]:
    lines = []
    for measured in record["shapes"]:
        shape = ", ".join(f"{axis}={size}" for axis, size in measured["shape"].items())
        lines.append(f"loss, {shape}, {record['dtype']}: memory, seconds, seconds of all cores")
        lines += [
            f"  {name:14}{each['temporary_bytes'] / 2**20:8.0f} MiB   {each['seconds']:8.3f} s   "
            f"{each['cpu_seconds']:8.3f} s"
            for name, each in measured["forms"].items()
        ]
    return lines


def forms(
    chosen: Sequence[int | str], shape: tuple[int, int, int], dtype: str, rounds: int
) -> dict[str, dict[str, Any]]:
    """Memory and time of each form: "plain", or by how many tokens a tile has."""
    words, width, tokens = shape
    keys = jax.random.split(jax.random.key(0), 3)
    arrays = (
        jax.random.normal(keys[0], (tokens, width), dtype),
        jax.random.normal(keys[1], (width, words), dtype) * width**-0.5,
        jax.random.randint(keys[2], (tokens,), 0, words),
    )
    named: dict[str, Callable[..., Any]] = {
        PLAIN if form == PLAIN else f"tile {form}": (
            plain if form == PLAIN else functools.partial(token_losses, tile=form)
        )
        for form in chosen
    }
    compiled = {
        name: jax.jit(jax.value_and_grad(functools.partial(_loss, form), argnums=(0, 1)))
        .lower(*arrays)
        .compile()
        for name, form in named.items()
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in named}
    for number in range(rounds + 1):  # the first one warms up
        for name, step in compiled.items():
            clock, cores = time.perf_counter(), time.process_time()
            jax.block_until_ready(step(*arrays))
            if number:
                taken[name].append((time.perf_counter() - clock, time.process_time() - cores))
    return {
        name: {
            "temporary_bytes": step.memory_analysis().temp_size_in_bytes,
            "seconds": statistics.median(one for one, _ in taken[name]),
            "cpu_seconds": statistics.median(one for _, one in taken[name]),
            "rounds": taken[name],
        }
        for name, step in compiled.items()
    }


def plain(
    hidden: jax.Array, head: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """With the logits of all tokens."""
    logits = jnp.matmul(hidden, head, preferred_element_type=jnp.float32)
    log_z = jax.nn.logsumexp(logits, axis=-1)
    picked = jnp.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
    return log_z - picked, log_z, jnp.argmax(logits, axis=-1) == labels


def _loss(form: Callable[..., Any], hidden: Any, head: Any, labels: Any) -> jax.Array:
    nll, log_z, _ = form(hidden, head, labels)
    return jnp.mean(nll + Z_LOSS * jnp.square(log_z))
