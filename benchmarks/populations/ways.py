"""A case's members trained in one of the ways that are compared, from the start of a process.

    members = members_of(case, data, seed=0, epochs=None)
    WAYS["sweep"](members, place)          # {"seconds", "processor", "timed", ...}

Seconds are those of all members. Where only some of them are trained one by one, being alike, the
seconds of the others are taken to be as many; `timed` says how many there were.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.populations.cases import ROOT, SPACE, Case, Setting
from benchmarks.whole import on_a_terminal

Figures = dict[str, Any]
RAY = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Members:
    """What is trained.

    Attributes:
        case: the config and the space.
        overrides: what all have besides, by key.
        values: of each member, by key; the sweep draws the same.
        seed: of the sweep.
        some: how many are timed where they are trained one by one.
        python: the interpreter that has Ray.
    """

    case: Case
    overrides: Mapping[str, Any]
    values: Sequence[Mapping[str, float]]
    seed: int
    some: int
    python: str = sys.executable

    @classmethod
    def of(
        cls,
        case: Case,
        data: Path,
        *,
        seed: int,
        some: int,
        count: int | None = None,
        epochs: int | None = None,
        python: str = sys.executable,
    ) -> Members:
        """Draw them.

        Args:
            case: the config and the space.
            data: the directory of all data.
            seed: of the sweep.
            some: how many are timed where they are trained one by one.
            count: of the members, in the place of the case's.
            epochs: likewise, of the config's.
            python: the interpreter that has Ray.
        """
        from jaxtrain.sweeps import SweepConfig
        from jaxtrain.sweeps.search import RandomSearch

        count = case.members if count is None else count
        overrides = case.overrides(data) | ({} if epochs is None else {"train.epochs": epochs})
        search = RandomSearch(SweepConfig(sweep_of(count, seed)))
        values = [one.values for one in search.ask(first=0, count=count)]
        return cls(case, overrides, values, seed, min(some, count), python)

    @property
    def timed(self) -> list[int]:
        """Those that are trained one by one: from the first to the last, evenly."""
        return sorted({int(n) for n in np.linspace(0, len(self.values) - 1, self.some).round()})

    def words(self, member: int) -> list[str]:
        """What a run of a member's own is told beside the config, as `key=value`."""
        return [
            f"{key}={value}" for key, value in {**self.overrides, **self.values[member]}.items()
        ]


def sweep_of(count: int, seed: int) -> dict[str, Any]:
    """A sweep's file."""
    space = {key: {kind: list(ends) for kind, ends in said.items()} for key, said in SPACE.items()}
    return {"search": "random", "members": count, "seed": seed, "space": space}


def as_sweep(members: Members, place: Path) -> Figures:
    """One process of `sweep`."""
    file = place / "sweep.json"
    file.write_text(json.dumps(sweep_of(len(members.values), members.seed)))
    command = [sys.executable, "-m", "jaxtrain.main", "sweep", "--config", str(members.case.file)]
    command += ["--sweep", str(file), "--workdir", str(place / "sweep")]
    command += [f"--config.{key}={value}" for key, value in members.overrides.items()]
    took = on_a_terminal(command, {})
    lines = (place / "sweep" / "sweep.jsonl").read_text().splitlines()
    rows = {row["member"]: row for row in map(json.loads, lines)}
    values = {number: row["value"] for number, row in sorted(rows.items())}
    return {**took, "timed": len(rows), "values": values}


def as_runs(members: Members, place: Path) -> Figures:
    """A process of the command line for each member."""
    each, values = [], {}
    for number in members.timed:
        run = place / str(number)
        command = [sys.executable, "-m", "jaxtrain.main", "--config", str(members.case.file)]
        command += ["--workdir", str(run), *(f"--config.{word}" for word in members.words(number))]
        each.append(on_a_terminal(command, {}))
        values[number] = best_of(run)
    total = {k: len(members.values) * statistics.mean(e[k] for e in each) for k in each[0]}
    return {**total, "timed": len(each), "values": values}


def in_a_loop(members: Members, place: Path) -> Figures:
    """One process, a run after the other."""
    said = {str(number): members.words(number) for number in members.timed}
    told = {"config": str(members.case.file), "members": said}
    (place / "members.json").write_text(json.dumps(told))
    found = _script("one_by_one", [str(place)], place, {})
    values = {number: best_of(place / str(number)) for number in members.timed}
    return {**of_all(found, len(members.values)), "values": values}


def with_optuna(members: Members, place: Path, words: Sequence[str] = ()) -> Figures:
    """Optuna and PyTorch, a trial after the other."""
    leave_data(members, place, trials=len(members.timed))
    found = _script("with_optuna", [str(place), *words], place, {})
    return of_all(found, len(members.values))


def with_optuna_on_a_thread(members: Members, place: Path) -> Figures:
    """The same where PyTorch has one thread, which is faster for small layers."""
    return with_optuna(members, place, ["--threads", "1"])


def with_ray(members: Members, place: Path) -> Figures:
    """Ray Tune and PyTorch, trials side by side; all of them are trained."""
    leave_data(members, place, trials=len(members.values))
    found = _script("with_ray", [str(place)], place, RAY, python=members.python)
    return {**found, "timed": len(members.values)}


WAYS: dict[str, Callable[[Members, Path], Figures]] = {
    "sweep": as_sweep,
    "runs": as_runs,
    "loop": in_a_loop,
    "optuna": with_optuna,
    "optuna, one thread": with_optuna_on_a_thread,
    "ray": with_ray,
}
"""By name: trains in a directory of its own, and says how long it took."""


def missing(way: str, python: str) -> str | None:
    """Why a way can't be gone; None where it can."""
    needs = {"optuna": "optuna, torch", "ray": "ray.tune, torch"}.get(way.split(",")[0])
    if needs is None:
        return None
    asked = [python if way == "ray" else sys.executable, "-c", f"import {needs}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if not done.returncode:
        return None
    why = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return f"{why}; --ray names a Python that has ray[tune] and torch" if way == "ray" else why


def of_all(found: Figures, count: int) -> Figures:
    """Seconds of all members, where some were trained in one process.

    The first one compiles for the others too, or warms caches; those behind it are alike.

    >>> of_all({"seconds": 10.0, "processor": 20.0, "each": [4.0, 2.0]}, 4)["seconds"]
    14.0
    """
    each, timed = found["each"], len(found["each"])
    if timed == count:
        return {**found, "timed": timed}
    more = (count - timed) * statistics.median(each[1:])
    busy = found["processor"] / found["seconds"]
    return {
        **found,
        "seconds": found["seconds"] + more,
        "processor": found["processor"] + more * busy,
        "timed": timed,
    }


def leave_data(members: Members, place: Path, *, trials: int) -> None:
    """What a peer's script reads: the rows that a run of ours has, split and scaled."""
    from jaxtrain.run import RunData, make_config

    config = make_config(members.case.file, members.words(0))
    sets = RunData.of(config).sets
    train, held_out = sets["train"], sets["validation"]
    np.savez(
        place / "data.npz",
        inputs=train.inputs,
        labels=train.labels,
        val_inputs=held_out.inputs,
        val_labels=held_out.labels,
    )
    setting = Setting(
        outputs=train.num_outputs,
        hidden=tuple(config.model.hidden),
        batch_size=config.data.batch_size,
        epochs=config.train.epochs,
        trials=trials,
        seed=members.seed,
        space=SPACE,
    )
    setting.write(place)


def best_of(run: Path) -> float:
    """The lowest loss of the validation of a run."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return min(row["val/loss"] for row in rows if "val/loss" in row)


def _script(
    name: str,
    words: Sequence[str],
    place: Path,
    environment: Mapping[str, str],
    *,
    python: str = sys.executable,
) -> Figures:
    """Seconds of a process, and the figures that it left."""
    command = [os.fspath(python), "-m", f"benchmarks.populations.{name}", *words]
    took = on_a_terminal(command, environment)
    return {**took, **json.loads((place / "figures.json").read_text())}
