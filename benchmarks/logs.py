"""`python -m benchmarks logs`: what recording costs a training with steps of a millisecond.

    python -m benchmarks logs
    python -m benchmarks logs --milliseconds 0.2 --every 1 --rounds 15

One engine, one step of about `--milliseconds`, and a handler every `--every` iterations, which
reads the loss and, in the rounds that are compared,

    read      does no more: what all others do as well
    log       logs it into a run (`tracking.log`), a row of metrics.jsonl
    events    logs it into a run that TensorBoard's event file hears of, too
    image     logs a picture of 28 x 28 pixels: a file, synced

Rounds alternate; a figure is the median of what a round took longer than the `read` beside it, by
iteration, and as a share of that. `call` is `tracking.log` alone, by itself.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.machine import machine_facts
from jaxtrain.engine import Engine, Events
from jaxtrain.files import replacing
from jaxtrain.tracking import EventFile, Place, Run

RESULTS = Path(__file__).with_name("results") / "logs.json"
ITERATIONS = 1000
PICTURE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
WAYS = ("read", "log", "events", "image")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks logs")
    parser.add_argument("--milliseconds", type=float, default=1.0, help="of a step, about")
    parser.add_argument("--every", type=int, default=10, help="iterations between two logs")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory:
        figures = measure(options.milliseconds, options.every, options.rounds, Path(directory))
    for way, row in figures["ways"].items():
        print(
            f"{way:8}{row['microseconds_a_log']:8.1f} microseconds a log, "
            f"{row['share_of_a_step']:.2%} of a step"
        )
    record = {"machine": machine_facts(["jaxtrain", "jax", "jaxlib", "numpy"]), **figures}
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def measure(milliseconds: float, every: int, rounds: int, directory: Path) -> dict[str, Any]:
    """All figures, as they stand in the file of results."""
    step = step_of(milliseconds / 1e3)
    runs = {way: trainer(way, step, every, directory / way) for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for each in runs.values():
        each()  # compiles
    for _ in range(rounds):
        for way, each in runs.items():
            seconds[way].append(each())
    read = statistics.median(seconds["read"]) / ITERATIONS
    ways = {}
    for way in WAYS[1:]:
        pairs = zip(seconds[way], seconds["read"], strict=True)
        more = statistics.median(took - beside for took, beside in pairs)
        ways[way] = {
            "microseconds_a_log": 1e6 * more / (ITERATIONS // every),
            "share_of_a_step": more / ITERATIONS / read,
        }
    ways["call"] = call_alone(directory / "call", read, every)
    return {
        "milliseconds_a_step": 1e3 * read,
        "iterations_between_logs": every,
        "rounds": rounds,
        "ways": ways,
    }


def step_of(seconds: float) -> Callable[[Any, Any], Any]:
    """A step that takes about so long: as many products of small matrices as that needs."""
    matrix = jnp.eye(64) * 0.5 + 0.01

    def step_with(count: int) -> Callable[[Any, Any], Any]:
        def step(state: jax.Array, batch: Any) -> Any:
            state = jax.lax.fori_loop(0, count, lambda _, x: jnp.tanh(x @ matrix), state)
            return state, {"loss": state.mean(), "finite": jnp.isfinite(state).all()}

        return step

    trial = 200
    compiled = jax.jit(step_with(trial))
    state = jnp.ones((64, 64))
    jax.block_until_ready(compiled(state, None))
    began = time.perf_counter()
    for _ in range(20):
        jax.block_until_ready(compiled(state, None))
    each = (time.perf_counter() - began) / 20
    return step_with(max(1, round(trial * seconds / each)))


def trainer(
    way: str, step: Callable[[Any, Any], Any], every: int, directory: Path
) -> Callable[[], float]:
    """A function that trains for `ITERATIONS`, and says how many seconds it took."""
    engine = Engine(step, jnp.ones((64, 64)))
    rounds = itertools.count()
    run = Run(directory)

    @engine.on(Events.ITERATION_COMPLETED(every=every))
    def tell(engine: Engine) -> None:
        loss = float(engine.state.output["loss"])
        if way == "image":
            run.log_image("picture", PICTURE)
        elif way != "read":
            run.log({"loss": loss})

    batches = np.zeros((ITERATIONS, 1), np.float32)

    def train() -> float:
        nonlocal run
        engine.reset()
        place = directory / str(next(rounds))
        place.mkdir(parents=True)
        run = Run(place)
        run.follow(lambda: Place(engine.state.iteration, 1, 0))
        with EventFile(place) as events:
            if way == "events":
                run.add_sink(events)
            began = time.perf_counter()
            engine.run(batches, max_epochs=1)
            return time.perf_counter() - began

    return train


def call_alone(directory: Path, read: float, every: int) -> dict[str, float]:
    """`Run.log` of two numbers, with nothing around it."""
    directory.mkdir(parents=True)
    run = Run(directory)
    times = []
    for number in range(2000):
        began = time.perf_counter()
        run.log({"loss": 0.5, "accuracy": 0.25}, number)
        times.append(time.perf_counter() - began)
    each = statistics.median(times)
    return {"microseconds_a_log": 1e6 * each, "share_of_a_step": each / every / read}
