"""Tokens a second that a language model writes: here, and with transformers.

    for record in measure(Shape(), weights, new=128, rounds=5): ...

It goes on behind prompts of 64 tokens; greedily, and drawn with top-p 0.9. Each framework takes the
threads that it takes by default. Prompts are read within the time that is measured.

Axes: B prompts, L their length.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.language.rates import Rate, rows, summary
from benchmarks.language.settings import MODES, PROMPT
from benchmarks.processes import REST_SECONDS, OwnProcess, Stopwatch

FRAMEWORKS = {"jaxtrain": "with_jaxtrain", "transformers": "with_transformers"}
PROGRAMS = ("torch", "transformers")


class Writing:
    """A framework's `Writing` with a clock beside it, in its own process.

    Args:
        name: a key of `FRAMEWORKS`.
        vocabulary: of the model.
        weights: its files.
    """

    def __init__(self, name: str, vocabulary: int, weights: Path) -> None:
        module = import_module(f"benchmarks.language.{FRAMEWORKS[name]}")
        self._writing, self._vocabulary = module.Writing.of(weights), vocabulary

    def round(self, batch: int, new: int, mode: str) -> Rate:
        """Tokens a second that are written behind so many prompts."""
        prompts = np.random.default_rng(0).integers(1, self._vocabulary, (batch, PROMPT))
        watch = Stopwatch()
        written = self._writing.write(prompts, new, mode)
        rate = watch.rates(written.size)
        assert written.shape == (batch, new)
        return rate


def measure(
    vocabulary: int,
    weights: Path,
    *,
    batches: Sequence[int],
    new: int,
    rounds: int,
    modes: Sequence[str] = MODES,
    cores: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The record after each task.

    Args:
        vocabulary: of the model.
        weights: what `with_jaxtrain.write_weights` wrote, for texts of prompt and new tokens.
        batches: numbers of prompts.
        new: new tokens of each prompt.
        rounds: how many times each framework has its turn.
        modes: "greedy", "top-p".
        cores: how many each may use; all by default.
    """
    left_out = {}
    if absent := [name for name in PROGRAMS if find_spec(name) is None]:
        why = f"not installed: {', '.join(absent)} (the extra 'peers' has them)"
        left_out = {"transformers": why}
    tasks: dict[str, Any] = {}
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(OwnProcess(name, cores=cores))
            for name in FRAMEWORKS
            if name not in left_out
        }
        for name, process in processes.items():
            process.make(Writing, name, vocabulary, weights)
        for batch in batches:
            for mode in modes:
                task = f"{mode}, {batch} prompt{'s' if batch > 1 else ''}"
                measured: dict[str, list[Rate]] = {name: [] for name in processes}
                for number in range(rounds + 1):  # the first one compiles
                    for name, process in processes.items():
                        time.sleep(REST_SECONDS)
                        rate = process.ask("round", batch, new, mode)
                        said = f"{task}, round {number}: {name} {rate['clock']:,.0f}"
                        print(f"  {said} tokens a second", file=sys.stderr, flush=True)
                        if number:
                            measured[name].append(rate)
                tasks[task] = summary(measured)
                yield {"prompt": PROMPT, "new": new, "left_out": left_out, "tasks": tasks}


def table(record: dict[str, Any]) -> list[str]:
    lines = ["writing: tokens a second by the clock, per second of processor time (times as fast)"]
    for task, found in record["tasks"].items():
        lines += [f" {task}", *rows(found)]
    return lines + [f"  {name}: left out, {why}" for name, why in record["left_out"].items()]
