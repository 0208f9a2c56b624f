"""`python -m benchmarks models`: rows a second that models of the catalogue train on.

    python -m benchmarks models
    python -m benchmarks models --parts lstm,encoder --rounds 9
    python -m benchmarks models --out benchmarks/results/models.json

A CNN, a ResNet-18 with the stem for small images, an LSTM and a transformer encoder, in float32 and
without dropout, by AdamW: by our jitted step alone, and by the same layers of PyTorch, eager and
under torch.compile. All have as many parameters, or nobody is timed.

Each framework has a process of its own and they take turns; a figure is the median of the rounds, a
ratio the median of the ratios within the rounds. Beside the clock's stand figures of processor
time. With `--out` a record is written as it grows; a part that is not measured keeps its place.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.catalogue import CASES, FRAMEWORKS, Case, training
from benchmarks.language.rates import Rate, rows, summary
from benchmarks.machine import machine_facts
from benchmarks.parts import some_of
from benchmarks.processes import REST_SECONDS, OwnProcess, ProcessFailed
from jaxtrain.files import replacing

FIRST_STEPS = 20
"""After so many the loss must be below that of the first. With He's initialisation it begins high,
and rises before it falls."""

PACKAGES = ["jaxtrain", "jax", "jaxlib", "flax", "optax", "numpy", "torch"]

# Not a fault where it can't be had: torch.compile wants a C++ compiler.
_MAY_FAIL = "PyTorch, compiled"


def main(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text())
    for part in options.parts:
        case = CASES[part].tiny() if options.tiny else CASES[part]
        facts = {
            "machine": machine_facts(PACKAGES),
            "cores": options.cores,
            "sizes": dataclasses.asdict(case),
            "rounds": options.rounds,
        }
        began = time.perf_counter()
        for found in measure(
            case, rounds=options.rounds, seconds=options.seconds, cores=options.cores
        ):
            took = round(time.perf_counter() - began)
            record[part] = {**facts, "took_seconds": took, **found}
            if options.out is not None:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                with replacing(options.out) as temporary:
                    temporary.write_text(json.dumps(record, indent=1) + "\n")
        print("\n".join(table(part, record[part])), flush=True)
    if options.out is not None:
        print(f"written: {options.out}")


def measure(
    case: Case, *, rounds: int, seconds: float, cores: int | None = None
) -> Iterator[dict[str, Any]]:
    """The record after each round.

    Args:
        case: model and batch.
        rounds: how many times each framework has its turn.
        seconds: about how long a turn is; all do the same number of steps.
        cores: how many each may use; all by default.

    Raises:
        SystemExit: models of different sizes, or one that does not learn its batch.
    """
    left_out: dict[str, str] = {}
    if find_spec("torch") is None:
        why = "not installed: torch (the extra 'peers' has it)"
        left_out = {name: why for name in FRAMEWORKS if not name.startswith("jaxtrain")}
    sizes: dict[str, int] = {}
    losses: dict[str, list[float]] = {}
    settings: dict[str, Any] = {}
    measured: dict[str, list[Rate]] = {}
    with ExitStack() as stack:
        processes: dict[str, OwnProcess] = {}
        for name in FRAMEWORKS:
            if name in left_out:
                continue
            process = stack.enter_context(OwnProcess(name, cores=cores))
            try:
                process.make(training, name, case)
                sizes[name] = process.ask("parameters")
                losses[name] = process.ask("first_losses", FIRST_STEPS)
                if not name.startswith("jaxtrain"):
                    settings[name] = process.ask("settle")
            except ProcessFailed as error:
                if name != _MAY_FAIL:
                    raise
                left_out[name] = error.why
                continue
            processes[name] = process
            _say(f"{case.model}, {name}: losses {', '.join(f'{x:.3f}' for x in losses[name][::5])}")
        if len(set(sizes.values())) > 1:
            raise SystemExit(f"{case.model}: models of different sizes: {sizes}")
        if idle := [name for name, found in losses.items() if not found[-1] < found[0]]:
            raise SystemExit(f"{case.model}: {idle} learn nothing: {losses}")
        once = case.batch / next(iter(processes.values())).ask("round", 2)["clock"]
        steps = max(1, round(seconds / once))
        for number in range(rounds + 1):  # the first one warms up
            for name, process in processes.items():
                time.sleep(REST_SECONDS)
                rate = process.ask("round", steps)
                _say(f"{case.model}, round {number}: {name} {rate['clock']:,.0f} rows a second")
                if number:
                    measured.setdefault(name, []).append(rate)
            if number:
                yield {
                    "steps_a_round": steps,
                    "parameters": next(iter(sizes.values())),
                    "first_losses": losses,
                    "settings": settings,
                    "left_out": left_out,
                    "rows": summary(measured),
                }


def table(part: str, record: dict[str, Any]) -> list[str]:
    """What is printed of a part."""
    lines = [f"{part}: rows a second by the clock, per second of processor time (times as fast)"]
    lines += rows(record["rows"])
    return lines + [f"  {name}: left out, {why}" for name, why in record["left_out"].items()]


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks models", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--parts", type=some_of(CASES), default=list(CASES), help=",".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="about, for a round")
    parser.add_argument("--cores", type=int, help="how many each may use; all by default")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser
