"""`python -m benchmarks loop`: steps a second of this engine, a loop by hand, and the peers.

    python -m benchmarks loop
    python -m benchmarks loop --tasks digits_mlp --frameworks jaxtrain,by_hand --rounds 9

Whole epochs are timed, feeding included. Rounds of the frameworks take turns, each framework in a
process of its own; a figure is the median of its rounds, a ratio the median of the ratios within
the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.loops import FRAMEWORKS, TASKS, Worker
from benchmarks.machine import machine_facts

RESULTS = Path(__file__).with_name("results") / "loop.json"
PACKAGES = ["jaxtrain", "jax", "jaxlib", "flax", "optax", "numpy"]
PACKAGES += ["torch", "pytorch-ignite", "lightning", "keras"]
# Thread pools of a process that has just finished spin for some milliseconds before they sleep.
_REST_SECONDS = 0.1

# By task and framework, steps a second in each round.
Speeds = dict[str, dict[str, list[float]]]


def main(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    missing = {name: FRAMEWORKS[name].missing() for name in options.frameworks}
    chosen = [name for name in options.frameworks if not missing[name]]
    left_out = {name: packages for name, packages in missing.items() if packages}
    for name, packages in left_out.items():
        print(f"left out: {FRAMEWORKS[name].title} (not installed: {', '.join(packages)})")

    began = time.perf_counter()
    speeds = measure(
        chosen,
        options.tasks,
        rounds=options.rounds,
        seconds=options.seconds,
        keeps_memory=options.malloc == "keeps",
    )
    cost = _dispatch_cost(options.rounds) if "jaxtrain" in chosen else {}
    record = {
        "machine": machine_facts(PACKAGES),
        "malloc": options.malloc,
        "rounds": options.rounds,
        "took_seconds": round(time.perf_counter() - began),
        "steps_per_second": {
            task: {
                name: {"median": statistics.median(values), "rounds": values}
                for name, values in by_framework.items()
            }
            for task, by_framework in speeds.items()
        },
        "ratios": ratios(speeds),
        "engine_microseconds": cost,
        "left_out": left_out,
    }
    print(table(speeds))
    for name, value in cost.items():
        print(f"the engine's own cost with no handlers: {value:.1f} µs a {name}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(record, indent=1) + "\n")


def measure(
    frameworks: Sequence[str],
    tasks: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    batches: int | None = None,
    keeps_memory: bool = True,
) -> Speeds:
    """Steps a second, by task and framework, in each round.

    Args:
        frameworks: keys of `FRAMEWORKS`.
        tasks: keys of `TASKS`.
        rounds: how many times each framework has its turn.
        seconds: about how long a turn is.
        batches: steps an epoch, where it is not the task's own number.
        keeps_memory: whether the processes' allocator keeps what is freed.
    """
    speeds: Speeds = {task: {name: [] for name in frameworks} for task in tasks}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, keeps_memory=keeps_memory))
            for name in frameworks
        }
        for task in tasks:
            for name, worker in workers.items():
                _say(f"{task}: {name} warms up")
                worker.prepare(task, seconds=seconds, batches=batches)
            for number in range(rounds):
                _say(f"{task}: round {number + 1} of {rounds}")
                for name, worker in workers.items():
                    time.sleep(_REST_SECONDS)
                    speeds[task][name].append(worker.round())
        _say("")
    return speeds


def ratios(speeds: Speeds, *, of: Sequence[str] = ("jaxtrain", "by_hand")) -> dict[str, Any]:
    """How many times as fast as each other framework those named in `of` are.

    >>> speeds = {"digits_mlp": {"jaxtrain": [4.0, 3.0, 9.0], "by_hand": [2.0, 1.0, 3.0]}}
    >>> ratios(speeds, of=["jaxtrain"])
    {'digits_mlp': {'jaxtrain': {'by_hand': 3.0}}}
    """
    return {
        task: {
            name: {
                other: statistics.median(a / b for a, b in zip(found[name], values, strict=True))
                for other, values in found.items()
                if other != name
            }
            for name in of
            if name in found
        }
        for task, found in speeds.items()
    }


def table(speeds: Speeds) -> str:
    """Steps a second, and behind them how many times as fast jaxtrain is.

    >>> print(table({"digits_mlp": {"jaxtrain": [30000.0], "by_hand": [20000.0]}}))
    steps a second (× how many times as fast jaxtrain is)
                                   digits_mlp
    jaxtrain                           30,000
    JAX loop by hand                   20,000 (1.50×)
    """
    faster = ratios(speeds, of=["jaxtrain"])
    rows = ["steps a second (× how many times as fast jaxtrain is)"]
    rows.append(_row("", [(task, "") for task in speeds]))
    for name in next(iter(speeds.values())):
        cells = []
        for task, found in speeds.items():
            ratio = faster[task].get("jaxtrain", {}).get(name)
            behind = "" if ratio is None else f" ({ratio:.2f}×)"
            cells.append((f"{statistics.median(found[name]):,.0f}", behind))
        rows.append(_row(FRAMEWORKS[name].title, cells))
    return "\n".join(rows)


def _row(title: str, cells: Sequence[tuple[str, str]]) -> str:
    text = "".join(f"{figure:>13}{behind:<10}" for figure, behind in cells)
    return f"{title:28}{text}".rstrip()


def _dispatch_cost(rounds: int) -> dict[str, float]:
    """Measured in a process of its own, like everything."""
    from benchmarks.loops.dispatch_cost import dispatch_cost

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(dispatch_cost, rounds).result()


def _say(text: str) -> None:
    """On a terminal, a line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks loop", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter

    def names(known: Sequence[str]) -> Any:
        def parse(text: str) -> list[str]:
            chosen = text.split(",")
            unknown = [name for name in chosen if name not in known]
            if unknown:
                raise argparse.ArgumentTypeError(
                    f"unknown: {', '.join(unknown)} (known: {', '.join(known)})"
                )
            return chosen

        return parse

    parser.add_argument("--tasks", type=names(tuple(TASKS)), default=list(TASKS))
    parser.add_argument("--frameworks", type=names(tuple(FRAMEWORKS)), default=list(FRAMEWORKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="about, for a round")
    parser.add_argument(
        "--malloc",
        choices=("keeps", "default"),
        default="keeps",
        help="an allocator that keeps freed memory, for all frameworks, or the system's default",
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the record goes")
    return parser
