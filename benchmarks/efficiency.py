"""`python -m benchmarks efficiency`: data parallel by processes against one process, same cores.

    python -m benchmarks efficiency
    python -m benchmarks efficiency --processes 2 --rounds 5

The same steps on the same global batch, by one process with as many threads as there are cores, and
by `--processes` of them with a thread each, which add their gradients up over gloo. Steps a second
are those of the engine, fused where its rule fuses; rounds take turns, each in processes of their
own, and a figure is the median. On one machine there is nothing to gain: what is measured is what
the adding up costs, by the share of one process's speed that is left. XLA's pool of threads is as
large as `NPROC` says.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "efficiency.json"
ROOT = Path(__file__).parents[1]
TASKS = {
    "mlp, batch 256": (["configs/digits.py", "data.batch_size=256", "model.hidden=[512,512]"], 400),
    "decoder, 1,024 tokens": (
        ["configs/char_lm.py", "data.length=64", "data.batch_size=16", "model.max_length=64"],
        20,
    ),
}
SECONDS = 300


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks efficiency")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--inside", nargs=4, metavar="WORD", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.inside:
        task, number, count, port = options.inside
        print(json.dumps(rate_of(task, int(number), int(count), port)))
        return
    rows = {}
    for task in TASKS:
        rates: dict[int, list[float]] = {1: [], options.processes: []}
        for _ in range(options.rounds):
            for count, found in rates.items():
                found.append(together(task, count))
        alone, several = (statistics.median(found) for found in rates.values())
        rows[task] = {"alone": alone, "processes": several, "share": several / alone}
        print(
            f"{task:24} one process {alone:8.1f} steps/s, {options.processes} processes "
            f"{several:8.1f}: {several / alone:.2f}",
            flush=True,
        )
    record = {
        "machine": machine_facts(["jaxtrain", "jax", "jaxlib"]),
        "processes": options.processes,
        "rounds": options.rounds,
        "tasks": rows,
    }
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def together(task: str, count: int) -> float:
    """Steps a second of `count` processes that do one task."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    cores = os.cpu_count() or 1
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "NPROC": str(max(1, cores // count))}
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks", "efficiency", "--inside"),
                *(task, str(number), str(count), str(port)),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for number in range(count)
    ]
    said = [process.communicate(timeout=SECONDS)[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{task}: a process of {count} failed")
    return float(json.loads(said[0].splitlines()[-1]))


def rate_of(task: str, number: int, count: int, port: str) -> float:
    """Steps a second, in one of the processes."""
    from jaxtrain.parallel import finish, start
    from jaxtrain.run import RunData, Task, make_config

    config, *words = TASKS[task][0]
    steps = TASKS[task][1]
    if count > 1:
        where = f"127.0.0.1:{port}"
        words += [
            "mesh.data=-1",
            f"distributed.coordinator={where}",
            f"distributed.processes={count}",
            f"distributed.process={number}",
        ]
    made = make_config(ROOT / config, words)
    start(made.distributed)
    rate = measured(Task.of(RunData.of(made)), steps)
    finish(0)
    return rate


def measured(task: Any, steps: int) -> float:
    """Steps a second of an engine that has warmed up."""
    import jax

    from jaxtrain.engine import Engine

    engine = Engine(task.train_step, task.initial_state())
    engine.run(task.loader, max_iters=steps, epoch_length=10**9)
    jax.block_until_ready(engine.state.train_state)
    began = time.perf_counter()
    engine.run(task.loader, max_iters=2 * steps, epoch_length=10**9)
    jax.block_until_ready(engine.state.train_state)
    return steps / (time.perf_counter() - began)
