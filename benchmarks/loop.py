"""`python -m benchmarks loop`: steps a second of this engine, a loop by hand, and the peers.

    python -m benchmarks loop
    python -m benchmarks loop --tasks digits_mlp --frameworks jaxtrain,by_hand --rounds 9

Whole epochs are timed, feeding included. Rounds of the frameworks take turns, each framework in a
process of its own; a figure is the median of its rounds, a ratio the median of the ratios within
the rounds.

A task's rows are printed when its last round is over. What was measured is kept from round to round
in a file beside the record, `loop.part.json`, which takes the record's name at the end; so it is
there after a Ctrl-C, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.loops import FRAMEWORKS, TASKS, Worker
from benchmarks.machine import machine_facts
from benchmarks.processes import REST_SECONDS, OwnProcess
from jaxtrain.files.atomic import replacing

RESULTS = Path(__file__).with_name("results") / "loop.json"
PACKAGES = ["jaxtrain", "jax", "jaxlib", "flax", "optax", "numpy"]
PACKAGES += ["torch", "pytorch-ignite", "lightning", "keras"]

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
    speeds: Speeds = {}
    cost: dict[str, float] = {}
    part = options.json.with_suffix(".part.json")

    def keep() -> None:
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
        with replacing(part) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n")

    try:
        print("steps a second (× how many times as fast jaxtrain is)", flush=True)
        for task, number, found in measure(
            chosen,
            options.tasks,
            rounds=options.rounds,
            seconds=options.seconds,
            keeps_memory=options.malloc == "keeps",
        ):
            speeds[task] = found
            keep()
            if number == options.rounds:
                print(table({task: found}), flush=True)
        cost |= _dispatch_cost(options.rounds) if "jaxtrain" in chosen else {}
    except KeyboardInterrupt:
        _say("")
        print(f"stopped; what was measured is in {part}" if speeds else "stopped", flush=True)
        raise SystemExit(130) from None
    for name, value in cost.items():
        print(f"the engine's own cost with no handlers: {value:.1f} µs a {name}")
    keep()
    part.replace(options.json)


def measure(
    frameworks: Sequence[str],
    tasks: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    batches: int | None = None,
    keeps_memory: bool = True,
) -> Iterator[tuple[str, int, dict[str, list[float]]]]:
    """Steps a second, by framework, in each round so far; comes anew after each round of a task.

    Args:
        frameworks: keys of `FRAMEWORKS`.
        tasks: keys of `TASKS`.
        rounds: how many times each framework has its turn.
        seconds: about how long a turn is.
        batches: steps an epoch, where it is not the task's own number.
        keeps_memory: whether the processes' allocator keeps what is freed.

    Yields:
        The task, how many of its rounds are over, and their speeds.
    """
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, keeps_memory=keeps_memory))
            for name in frameworks
        }
        for task in tasks:
            for name, worker in workers.items():
                _say(f"{task}: {name} warms up")
                worker.prepare(task, seconds=seconds, batches=batches)
            speeds: dict[str, list[float]] = {name: [] for name in frameworks}
            for number in range(1, rounds + 1):
                _say(f"{task}: round {number} of {rounds}")
                for name, worker in workers.items():
                    time.sleep(REST_SECONDS)
                    speeds[name].append(worker.round())
                _say("")
                yield task, number, {name: list(values) for name, values in speeds.items()}


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
    digits_mlp
      jaxtrain                         30,000
      JAX loop by hand                 20,000 (1.50×)
    """
    faster = ratios(speeds, of=["jaxtrain"])
    rows = []
    for task, found in speeds.items():
        rows.append(task)
        for name, values in found.items():
            ratio = faster[task].get("jaxtrain", {}).get(name)
            behind = "" if ratio is None else f" ({ratio:.2f}×)"
            rows.append(f"  {FRAMEWORKS[name].title:26}{statistics.median(values):>13,.0f}{behind}")
    return "\n".join(rows)


def _dispatch_cost(rounds: int) -> dict[str, float]:
    """Measured in a process of its own, like everything."""
    from benchmarks.loops.dispatch_cost import dispatch_cost

    with OwnProcess("jaxtrain", environment={}) as process:
        return process.call(dispatch_cost, rounds)


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
