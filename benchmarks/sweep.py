"""`python -m benchmarks sweep`: many runs of a config as one program, beside all other ways.

    python -m benchmarks sweep
    python -m benchmarks sweep --parts cli,sequential --cases digits --rounds 3
    python -m benchmarks sweep --parts peers --ray /path/to/a/python/with/ray
    python -m benchmarks sweep --parts halving --seeds 10

64 members of the MLP of the digits and 16 of that of MNIST, each with a rate, a decay, a dropout
and a label smoothing of its own, from the start of a process to its end:

    sweep               one process of `sweep`, which is timed beside whatever else is
    cli                 `runs`: a process of the command line for each member, the same values
    sequential          `loop`: one process that makes an Experiment of each, one after the other
    peers               `optuna`: Optuna and PyTorch, one trial after the other, with as many
                        threads as PyTorch chooses, and with one. `ray`: Ray Tune and PyTorch, as
                        many at once as Ray chooses. Each searches the same space at random; same
                        rows (found in a file, split and scaled), layers, batch, epochs, optimizer

Members of one by one are alike, so `--some` of them are trained and the rest taken to last as long;
`--all` trains them all. A sweep has neither TensorBoard's events nor a report for each member; runs
of their own have what their config says. Peers keep nothing but the figures. Ways take turns;
ratios are medians of the rounds.

    halving             the best validation loss by successive halving and by random search with the
                        same number of epochs in all, on three tasks, over several seeds
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine_facts
from benchmarks.parts import some_of
from benchmarks.populations.cases import CASES, ROOT
from benchmarks.populations.searches import MEMBERS, TASKS, compare
from benchmarks.populations.ways import WAYS, Members, missing
from benchmarks.processes import REST_SECONDS
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "sweep.json"
OURS = "sweep"
PARTS: dict[str, tuple[str, ...]] = {
    "cli": ("runs",),
    "sequential": ("loop",),
    "peers": ("optuna", "optuna, one thread", "ray"),
    "halving": (),
}
"""By the part: the ways that are timed beside a sweep."""


def main(argv: Sequence[str]) -> None:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.some < 2 or (options.members or 2) < 2:
        # What is alike is told from the second one on: the first one compiles.
        parser.error("--some, --members: expected 2 at least")
    record: dict[str, Any] = {}
    if options.out.exists():
        record = json.loads(options.out.read_text())
    # Ray's sockets have long names, so this directory has a short one.
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        ways = [way for part in options.parts for way in PARTS[part]]
        for case in options.cases if ways else ():
            members = _members(options, case)
            facts = _facts(options) | {"rounds": options.rounds}
            for found in measure(members, ways, rounds=options.rounds, directory=place):
                record.setdefault("cases", {})[case] = facts | found
                _keep(record, options.out)
            print("\n".join(table(case, record["cases"][case])), flush=True)
        for task in options.tasks if "halving" in options.parts else ():
            first = 100 * list(TASKS).index(task)  # or all tasks had the same draws
            seeds = range(first, first + options.seeds)
            searches = compare(
                task,
                options.data,
                seeds=seeds,
                directory=place,
                members=options.members or MEMBERS,
                epochs=options.epochs,
            )
            for found in searches:
                _say(f"{task}, seed {found['seeds'][-1]}: {_pair(found)}")
                record.setdefault("halving", {})[task] = _facts(options) | found
                _keep(record, options.out)
            print(halving_line(task, record["halving"][task]), flush=True)
    print(f"written: {options.out}")


def measure(
    members: Members, ways: Sequence[str], *, rounds: int, directory: Path
) -> Iterator[dict[str, Any]]:
    """The record of a case after each round.

    Args:
        members: what is trained.
        ways: of `WAYS`, beside the sweep.
        rounds: how many times each has its turn.
        directory: where they write; each removes what it wrote.

    Raises:
        RunFailed: a process ended with an error.
    """
    left_out = {way: why for way in ways if (why := missing(way, members.python)) is not None}
    chosen = [OURS, *(way for way in ways if way not in left_out)]
    measured: dict[str, list[dict[str, Any]]] = {way: [] for way in chosen}
    for number in range(rounds):
        for way in chosen:
            time.sleep(REST_SECONDS)
            with tempfile.TemporaryDirectory(dir=directory) as place:
                found = WAYS[way](members, Path(place))
            _say(f"{members.case.name}, round {number + 1}: {way} {found['seconds']:.1f} s")
            measured[way].append(found)
        yield {
            "members": len(members.values),
            "overrides": {k: v for k, v in members.overrides.items() if k != "data.root"},
            "ways": measured,
            **summary(measured, len(members.values)),
            "left_out": left_out,
        }


def summary(measured: Mapping[str, Sequence[Mapping[str, Any]]], members: int) -> dict[str, Any]:
    """Members a second, how many times as long as a sweep each took, and how equal they are.

    >>> ours, theirs = {"seconds": 2.0}, {"seconds": 6.0}
    >>> summary({"sweep": [ours], "ray": [theirs]}, 4)["times_as_long"]
    {'ray': 3.0}
    """
    ours = measured[OURS]
    rates = {
        way: members / statistics.median(one["seconds"] for one in found)
        for way, found in measured.items()
    }
    ratios = {
        way: statistics.median(
            b["seconds"] / a["seconds"] for a, b in zip(ours, found, strict=True)
        )
        for way, found in measured.items()
        if way != OURS
    }
    differences = {
        way: max(
            abs(value / one["values"][number] - 1)
            for one, other in zip(ours, found, strict=True)
            for number, value in other["values"].items()
        )
        for way, found in measured.items()
        if way != OURS and "values" in found[0]
    }
    return {
        "members_a_second": rates,
        "times_as_long": ratios,
        "largest_relative_difference_of_a_best_loss": differences,
    }


def table(case: str, record: Mapping[str, Any]) -> list[str]:
    """What is printed of a case."""
    lines = [f"{case}: {record['members']} members, whole processes; seconds, of all cores"]
    for way, found in record["ways"].items():
        clock, cores = (
            statistics.median(one[k] for one in found) for k in ("seconds", "processor")
        )
        times = record["times_as_long"].get(way)
        behind = "" if times is None else f" ({times:.2f}×)"
        timed = found[0]["timed"]
        some = f"; {timed} timed" if timed < record["members"] else ""
        rate = record["members_a_second"][way]
        lines.append(
            f"  {way:20}{clock:8.1f} s{behind:10}{cores:8.1f} s  {rate:.3f} members a second{some}"
        )
    for way, size in record["largest_relative_difference_of_a_best_loss"].items():
        lines.append(f"  best losses of {way} and of the sweep differ by {size:.1e} at most")
    return lines + [f"  {way}: left out, {why}" for way, why in record["left_out"].items()]


def halving_line(task: str, record: Mapping[str, Any]) -> str:
    """What is printed of a task."""
    found = record["difference"]
    within = "" if found["interval"] is None else " [{:+.4f}, {:+.4f}]".format(*found["interval"])
    spent = record["planned_member_epochs"]
    return (
        f"{task}: {_pair(record)}; lower by {found['mean']:+.4f}{within} with halving, in "
        f"{found['wins']} of {len(found['each'])} seeds, {found['ties']} equal "
        f"({spent['halving']} and {spent['random']} epochs of members)"
    )


def _pair(record: Mapping[str, Any]) -> str:
    means = {
        way: statistics.mean(one["value"] for one in found)
        for way, found in record["searches"].items()
    }
    return f"best loss by halving {means['halving']:.4f}, by random search {means['random']:.4f}"


def _members(options: argparse.Namespace, case: str) -> Members:
    count = options.members or CASES[case].members
    return Members.of(
        CASES[case],
        options.data,
        seed=0,
        some=count if options.all else options.some,
        count=count,
        epochs=options.epochs,
        python=options.ray,
    )


def _facts(options: argparse.Namespace) -> dict[str, Any]:
    packages = ["jaxtrain", "jax", "jaxlib", "flax", "optax", "numpy", "torch", "optuna", "ray"]
    return {"machine": machine_facts(packages) | {"load": os.getloadavg()[1]}}


def _keep(record: Mapping[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks sweep", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--parts", type=some_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--cases", type=some_of(CASES), default=list(CASES), help=",".join(CASES))
    parser.add_argument("--tasks", type=some_of(TASKS), default=list(TASKS), help="of halving")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=8, help="of halving")
    parser.add_argument("--some", type=int, default=4, help="members, where trained one by one")
    parser.add_argument("--all", action="store_true", help="train them all")
    parser.add_argument("--members", type=int, help="in all, in the place of each case's own")
    parser.add_argument("--epochs", type=int, help="likewise")
    parser.add_argument(
        "--ray", default=sys.executable, metavar="PYTHON", help="one that has ray[tune] and torch"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("JAXTRAIN_TEST_DATA", ROOT.parent / "shared/data")),
        help="the directory that has mnist, fashion_mnist and adult",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser
