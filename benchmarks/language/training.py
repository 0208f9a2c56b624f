"""Tokens a second that a language model trains on: here, and with transformers and PyTorch.

    for record in measure(Shape(), weights, rounds=5, seconds=5.0): ...

All begin with the same weights and read the same batches. Before anything is timed the losses of
the first steps are compared, so that nobody is fast by doing something else.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.language.rates import Rate, rows, summary
from benchmarks.language.shape import Shape
from benchmarks.processes import REST_SECONDS, OwnProcess, ProcessFailed

# By name: the file, and what `Training` there gets besides shape and weights. The first one says
# how many steps make a round.
FRAMEWORKS = {
    "jaxtrain, bare step": ("with_jaxtrain", False),
    "jaxtrain": ("with_jaxtrain", True),
    "transformers, eager": ("with_transformers", False),
    "transformers, compiled": ("with_transformers", True),
}
# Not a fault where it can't be had: torch.compile wants a C++ compiler.
_MAY_FAIL = "transformers, compiled"

FIRST_STEPS = 5
LARGEST_DIFFERENCE = 1e-3
PROGRAMS = ("torch", "transformers")


def measure(
    shape: Shape, weights: Path, *, rounds: int, seconds: float, cores: int | None = None
) -> Iterator[dict[str, Any]]:
    """The record after each round.

    Args:
        shape: model and batches.
        weights: what `with_jaxtrain.write_weights` wrote for this shape.
        rounds: how many times each framework has its turn.
        seconds: about how long a turn is; all do the same number of steps.
        cores: how many each may use; all by default.

    Raises:
        SystemExit: two frameworks' first losses differ: they do not do the same.
    """
    left_out: dict[str, str] = {}
    if absent := [name for name in PROGRAMS if find_spec(name) is None]:
        why = f"not installed: {', '.join(absent)} (the extra 'peers' has them)"
        left_out = {name: why for name in FRAMEWORKS if not name.startswith("jaxtrain")}
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
                process.make(training, name, shape, weights)
                losses[name] = process.ask("first_losses", FIRST_STEPS)
            except ProcessFailed as error:
                if name != _MAY_FAIL:
                    raise
                left_out[name] = error.why
                continue
            processes[name] = process
            _say(f"{name}: losses {', '.join(f'{loss:.4f}' for loss in losses[name])}")
        difference = largest_difference(losses)
        if not difference["is"] <= LARGEST_DIFFERENCE:
            raise SystemExit(f"the first losses differ by {difference['is']:.2g}: {losses}")
        for name, process in processes.items():
            if not name.startswith("jaxtrain"):
                settings[name] = process.ask("settle")
                _say(f"{name}: {settings[name]}")
        bare = next(iter(processes.values()))
        steps = max(1, round(seconds * bare.ask("round", 2)["clock"] / shape.tokens))
        for number in range(rounds + 1):  # the first one warms up
            for name, process in processes.items():
                time.sleep(REST_SECONDS)
                rate = process.ask("round", steps)
                _say(f"training, round {number}: {name} {rate['clock']:,.0f} tokens a second")
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
                }


def training(name: str, shape: Shape, weights: Path) -> Any:
    """The framework's `Training`, in its own process."""
    file, option = FRAMEWORKS[name]
    return import_module(f"benchmarks.language.{file}").Training(shape, option, weights)


def largest_difference(losses: dict[str, list[float]]) -> dict[str, Any]:
    """Between the losses of a step, over all pairs of frameworks; NaN where a loss is.

    >>> largest_difference({"a": [2.0, 1.0], "b": [2.0, 1.5], "c": [2.0, 1.25]})
    {'is': 0.5, 'between': ['a', 'b']}
    """
    differences = [
        (abs(one - other), [a, b])
        for a, b in combinations(losses, 2)
        for one, other in zip(losses[a], losses[b], strict=True)
    ]
    # NaN is neither more nor less than a number; here it is more than all.
    largest = max(differences, key=lambda each: (math.isnan(each[0]), each[0]), default=(0.0, None))
    return dict(zip(("is", "between"), largest, strict=True))


def table(record: dict[str, Any]) -> list[str]:
    lines = ["training: tokens a second by the clock, per second of processor time (times as fast)"]
    lines += rows(record["tokens"])
    return lines + [f"  {name}: left out, {why}" for name, why in record["left_out"].items()]


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
