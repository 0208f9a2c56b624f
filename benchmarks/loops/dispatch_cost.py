"""What the engine itself costs a dispatch: a step that does nothing, and no handlers.

dispatch_cost(rounds=5)       # {"dispatch": 8.1, "process": 0.9}, in microseconds
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain import Engine

_ITERATIONS = 10_000


def dispatch_cost(rounds: int) -> dict[str, float]:
    """Medians of microseconds an iteration, over the same calls in a bare loop.

    Returns:
        dispatch: of an engine with a pure step, one step a dispatch.
        process: of an engine that calls a Python function.
    """
    batches = [{"x": jnp.ones(())}] * _ITERATIONS
    state = jnp.zeros(())

    def step(state: jax.Array, batch: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, Any]]:
        return state + batch["x"], {}

    def process(engine: Engine | None, batch: dict[str, jax.Array]) -> None:
        return None

    compiled = jax.jit(step, donate_argnums=0)

    def bare_dispatch() -> None:
        state = jnp.zeros(())
        for batch in batches:
            state, _ = compiled(state, batch)
        state.block_until_ready()

    def bare_process() -> None:
        for batch in batches:
            process(None, batch)

    pure, host = Engine(step, state, form="single"), Engine(process)

    def dispatch() -> None:
        pure.run(batches)
        jax.block_until_ready(pure.state.train_state)

    pairs = {
        "dispatch": (dispatch, bare_dispatch),
        "process": (lambda: host.run(batches), bare_process),
    }
    found: dict[str, list[float]] = {name: [] for name in pairs}
    for number in range(rounds + 1):
        for name, (with_engine, bare) in pairs.items():
            cost = _seconds(with_engine) - _seconds(bare)
            if number > 0:  # the first compiles
                found[name].append(1e6 * cost / _ITERATIONS)
    return {name: statistics.median(costs) for name, costs in found.items()}


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
