"""Tokens a second, and memory, of an adapter's step: here in two forms, on a base in few bits and
whole, and with PEFT.

All begin with the same weights and the same fresh adapter, and the losses of the first steps of
those that train the adapter beside the same base must agree before a clock runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.adapters.settings import PROGRAMS
from benchmarks.language.rates import Rate, rows, summary
from benchmarks.language.shape import Shape
from benchmarks.language.training import FIRST_STEPS, LARGEST_DIFFERENCE, largest_difference
from benchmarks.processes import REST_SECONDS, OwnProcess, ProcessFailed

# By name: the file, and what `Training` there gets behind the shape. The first says how many steps
# make a round.
FRAMEWORKS = {
    "jaxtrain, low-rank": ("with_jaxtrain", "low_rank"),
    "jaxtrain, merged": ("with_jaxtrain", "merge"),
    "jaxtrain, base in int8": ("with_jaxtrain", "int8"),
    "jaxtrain, base in nf4": ("with_jaxtrain", "nf4"),
    "jaxtrain, full": ("with_jaxtrain", "full"),
    "peft, eager": ("with_peft", False),
    "peft, compiled": ("with_peft", True),
}
FULL = "jaxtrain, full"
_OTHERS = ("jaxtrain, base in int8", "jaxtrain, base in nf4", FULL)
"""Those whose losses are their own."""
_MAY_FAIL = "peft, compiled"


def measure(
    shape: Shape, directory: Path, *, rounds: int, seconds: float, cores: int | None = None
) -> Iterator[dict[str, Any]]:
    """The record after each round.

    Raises:
        SystemExit: the first losses differ.
    """
    left_out: dict[str, str] = {}
    if absent := [name for name in PROGRAMS if find_spec(name) is None]:
        why = f"not installed: {', '.join(absent)} (the extra 'peers' has them)"
        left_out = {name: why for name in FRAMEWORKS if not name.startswith("jaxtrain")}
    if find_spec("qwix") is None:
        left_out |= dict.fromkeys(_OTHERS[:2], "not installed: qwix (the extra 'quant' has it)")
    weights, adapter = directory / "weights", directory / "adapter"
    with OwnProcess("jaxtrain") as process:
        process.call(_write, shape, weights, adapter)
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
                process.make(training, name, shape, weights, adapter)
                losses[name] = process.ask("first_losses", FIRST_STEPS)
            except ProcessFailed as error:
                if name != _MAY_FAIL:
                    raise
                left_out[name] = error.why
                continue
            processes[name] = process
            _say(f"{name}: losses {', '.join(f'{loss:.4f}' for loss in losses[name])}")
        difference = largest_difference({n: x for n, x in losses.items() if n not in _OTHERS})
        if not difference["is"] <= LARGEST_DIFFERENCE:
            raise SystemExit(f"the first losses differ by {difference['is']:.2g}: {losses}")
        for name, process in processes.items():
            if not name.startswith("jaxtrain"):
                settings[name] = process.ask("settle")
        first = next(iter(processes.values()))
        steps = max(1, round(seconds * first.ask("round", 2)["clock"] / shape.tokens))
        for number in range(rounds + 1):  # the first one warms up
            for name, process in processes.items():
                time.sleep(REST_SECONDS)
                rate = process.ask("round", steps)
                _say(f"step, round {number}: {name} {rate['clock']:,.0f} tokens a second")
                if number:
                    measured.setdefault(name, []).append(rate)
            if number:
                yield {
                    "steps_a_round": steps,
                    "first_losses": losses,
                    "largest_difference": difference,
                    "settings": settings,
                    "left_out": left_out,
                    "tokens": summary(measured),
                    "of_full": _of_full(measured),
                    "peak_bytes": {n: process.ask("peak") for n, process in processes.items()},
                }


def training(name: str, shape: Shape, weights: Path, adapter: Path) -> Any:
    """The framework's `Training`, in its own process."""
    file, option = FRAMEWORKS[name]
    module = import_module(f"benchmarks.adapters.{file}")
    return module.Training(shape, option, weights, adapter)


def table(record: dict[str, Any]) -> list[str]:
    lines = ["adapter: tokens a second by the clock, per second of processor time (times as fast)"]
    lines += rows(record["tokens"])
    for name, ratio in record["of_full"].items():
        lines.append(f"  a step of {name} takes {ratio['clock']:.2f} of that of all parameters")
    for name, peak in record["peak_bytes"].items():
        lines.append(f"  {name:24}{peak / 2**20:10,.0f} MiB at most")
    return lines + [f"  {name}: left out, {why}" for name, why in record["left_out"].items()]


def _of_full(measured: dict[str, list[Rate]]) -> dict[str, dict[str, float]]:
    """How long a step takes, as a share of one of all parameters; medians within the rounds."""
    import statistics

    return {
        name: {
            kind: statistics.median(
                full[kind] / own[kind] for full, own in zip(measured[FULL], rates, strict=True)
            )
            for kind in ("clock", "processor")
        }
        for name, rates in measured.items()
        if name.startswith("jaxtrain") and name != FULL
    }


def _write(shape: Shape, weights: Path, adapter: Path) -> None:
    from benchmarks.adapters.with_jaxtrain import write_files

    write_files(shape, weights, adapter)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
