"""`python -m benchmarks lm_loss`: the loss of a language model, tile by tile and all at once.

    python -m benchmarks lm_loss
    python -m benchmarks lm_loss --vocabulary 256000 --width 512 --tiles 256,1024 --rounds 2
    python -m benchmarks lm_loss --out benchmarks/results/lm_loss.json

One figure is of the memory that XLA sets aside for the loss and its gradient besides what goes in
and comes out, the other is of the time that takes, forward and backward: of the clock, and of all
cores together, which other processes on the machine disturb less. The forms take turns, round by
round; what is printed is the median.

"Plain" has the logits of all tokens in memory, in float32 as a loss needs them.

Axes: T tokens, D width, V vocabulary.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.machine import machine_facts
from jaxtrain.files import replacing
from jaxtrain.models.token_losses import token_losses

Z_LOSS = 1e-4


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks lm_loss")
    parser.add_argument("--vocabulary", type=_numbers, default=(32_000,), help="V, one or several")
    parser.add_argument("--width", type=_numbers, default=(512,), help="D, one or several")
    parser.add_argument("--tokens", type=_numbers, default=(2_048,), help="T, one or several")
    parser.add_argument("--tiles", type=_numbers, default=(256, 512, 1_024, 2_048))
    parser.add_argument("--dtype", default="float32", help="of hidden states and head")
    parser.add_argument("--no-plain", action="store_true", help="where it does not fit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a JSON file; what is in it already stays")
    options = parser.parse_args(argv)
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text())
    forms: dict[str, Callable[..., Any]] = {} if options.no_plain else {"plain": plain}
    forms |= {f"tile {tile}": functools.partial(token_losses, tile=tile) for tile in options.tiles}
    for shape in itertools.product(options.vocabulary, options.width, options.tokens):
        name = "V={}, D={}, T={}, {}".format(*shape, options.dtype)
        print(name, flush=True)
        found = measure(forms, shape, options.dtype, options.rounds)
        for form, figures in found.items():
            print(
                f"  {form:10} {figures['temporary_bytes'] / 2**20:8.0f} MiB   "
                f"{figures['seconds']:7.2f} s   {figures['cpu_seconds']:7.2f} s of cores",
                flush=True,
            )
        if options.out is None:
            continue
        # Written shape by shape: what was measured stays when it is stopped.
        record["machine"] = machine_facts(["jaxtrain", "jax", "jaxlib"])
        record["device"] = jax.devices()[0].device_kind
        record.setdefault("shapes", {})[name] = {"rounds": options.rounds, "forms": found}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(options.out) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n")
        print(f"written: {options.out}", flush=True)


def measure(
    forms: dict[str, Callable[..., Any]], shape: tuple[int, int, int], dtype: str, rounds: int
) -> dict[str, dict[str, Any]]:
    """Memory and time of each form, of V, D and T."""
    words, width, tokens = shape
    keys = jax.random.split(jax.random.key(0), 3)
    arrays = (
        jax.random.normal(keys[0], (tokens, width), dtype),
        jax.random.normal(keys[1], (width, words), dtype) * width**-0.5,
        jax.random.randint(keys[2], (tokens,), 0, words),
    )
    compiled = {
        name: jax.jit(jax.value_and_grad(functools.partial(_loss, form), argnums=(0, 1)))
        .lower(*arrays)
        .compile()
        for name, form in forms.items()
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
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
            "each": taken[name],
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


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))
