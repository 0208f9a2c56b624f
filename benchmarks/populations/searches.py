"""Successive halving against random search, with the same number of epochs of members in all.

    for record in compare("digits", data, seeds=range(5), directory=place):
        record["difference"]           # of the best validation loss: mean and 95 % interval

A sweep's seed is that of its runs, too: it draws the members, the rows that are held out, the first
parameters and the order. With one seed both searches draw the same members one after the other, so
those of the shorter list, random search's, are all among those of halving: what differs is that
halving looks at more of them, and gives most of them up early.
"""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.populations.cases import Case
from benchmarks.processes import OwnProcess

# Wide, as of somebody who does not know yet. The loss that ranks them must mean the same in all
# members, so what the loss itself has (label smoothing) is not searched.
SPACE = {
    "optimizer.learning_rate": {"log_uniform": [1e-5, 3e-1]},
    "optimizer.weight_decay": {"log_uniform": [1e-6, 1e-1]},
    "model.dropout": {"uniform": [0.01, 0.6]},
}
MEMBERS, FACTOR, RUNGS = 27, 3, 3
"""27 members to the first rung, 9 to the second, 3 to the end."""

TASKS = {
    "digits": Case("digits", "digits.py", MEMBERS, None, {"train.epochs": 27}),
    "fashion": Case(
        "fashion",
        "mnist_mlp.py",
        MEMBERS,
        "fashion_mnist",
        {
            "data.name": "fashion_mnist",
            "data.batch_size": 256,
            "model.hidden": [128, 64],
            "train.epochs": 9,
        },
    ),
    "adult": Case("adult", "adult_mlp.py", MEMBERS, "adult", {"train.epochs": 9}),
}


def compare(
    name: str,
    data: Path,
    *,
    seeds: Sequence[int],
    directory: Path,
    members: int = MEMBERS,
    epochs: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The record of a task, after each seed.

    Args:
        name: of `TASKS`.
        data: the directory of all data.
        seeds: of the sweeps; taken in turns.
        directory: where the sweeps go; each is removed when it is over.
        members: that halving begins with.
        epochs: of a member that comes to the end, in the place of the task's.
    """
    case = TASKS[name]
    overrides = case.overrides(data) | ({} if epochs is None else {"train.epochs": epochs})
    last = overrides["train.epochs"]
    first = max(1, last // FACTOR ** (RUNGS - 1))
    halving = {"first": first, "factor": FACTOR}
    budget = planned(members, first=first, last=last)
    fewer = max(1, round(budget / last))
    found: dict[str, list[dict[str, Any]]] = {"halving": [], "random": []}
    with OwnProcess(name) as process:
        for seed in seeds:
            words = overrides | {"seed": seed}
            for way, count, rungs in (("halving", members, halving), ("random", fewer, None)):
                place = directory / f"{name}-{seed}-{way}"
                told = process.call(search, str(case.file), words, count, seed, rungs, str(place))
                found[way].append(told)
                shutil.rmtree(place)
            yield {
                "epochs": last,
                "halving": halving,
                "planned_member_epochs": {"halving": budget, "random": fewer * last},
                "seeds": list(seeds)[: len(found["random"])],
                "searches": found,
                "difference": difference(found),
            }


def planned(members: int, *, first: int, last: int) -> int:
    """Epochs of all members together, where nobody ends early.

    >>> planned(27, first=3, last=27)            # 27 * 3 + 9 * 6 + 3 * 18
    189
    """
    from jaxtrain.sweeps.halving import rungs

    total, before = 0, 0
    for end in rungs(first=first, factor=FACTOR, epochs=last):
        total += members * (end - before)
        before, members = end, max(1, members // FACTOR)
    return total


def search(
    config: str,
    words: Mapping[str, Any],
    members: int,
    seed: int,
    halving: Mapping[str, int] | None,
    directory: str,
) -> dict[str, Any]:
    """One sweep: its best value, and what it spent.

    Args:
        config: the file.
        words: overrides, by key.
        members: how many.
        seed: of the draws.
        halving: as a sweep's file has it; None for none.
        directory: where it goes.
    """
    from jaxtrain.config import load, merge
    from jaxtrain.sweeps import Sweep, SweepConfig
    from jaxtrain.sweeps.tree import nested

    said = {"search": "random", "members": members, "seed": seed, "space": SPACE}
    if halving is not None:
        said["halving"] = dict(halving)
    began = time.perf_counter()
    tree = merge(load(config), nested(words))
    rows = Sweep(tree, SweepConfig(said), directory).run()
    seconds = time.perf_counter() - began
    best = min((row for row in rows if row.value is not None), key=lambda row: row.value)
    return {
        "value": best.value,
        "accuracy": best.figures["val/accuracy"],
        "member": best.member,
        "values": best.values,
        "members": len(rows),
        "failed": sum(row.status == "failed" for row in rows),
        "member_epochs": sum(row.epochs for row in rows),
        "seconds": seconds,
    }


def difference(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """By how much halving's best loss is lower than random search's, seed by seed.

    >>> said = difference({"halving": [{"value": 1.0}] * 2, "random": [{"value": 2.0}] * 2})
    >>> said["mean"], said["interval"], said["wins"], said["ties"]
    (1.0, [1.0, 1.0], 2, 0)
    """
    pairs = zip(found["random"], found["halving"], strict=True)
    each = [random["value"] - halving["value"] for random, halving in pairs]
    mean, half = statistics.mean(each), None
    if len(each) > 1:
        from scipy import stats

        wide = stats.t.ppf(0.975, len(each) - 1)
        half = float(wide * statistics.stdev(each) / math.sqrt(len(each)))
    return {
        "mean": mean,
        "interval": None if half is None else [mean - half, mean + half],
        "each": each,
        "wins": sum(one > 0 for one in each),
        "ties": sum(one == 0 for one in each),
    }
