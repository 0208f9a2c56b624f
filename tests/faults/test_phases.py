"""Faults 6 and 7 in a run of several phases: SIGKILL at random instants, and at every step between
two phases. The same command goes on, to the same ledger, scores, adapters and parameters."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from jaxtrain.checkpoint.arrays import read_arrays

CONFIG = Path(__file__).with_name("phased.yaml")
PROGRESSIVE = "jaxtrain.phases.progressive"
# In the order of a run: each is the first such call of a process that goes on from the one before.
BETWEEN = [
    ("dump", "before"),
    ("save_row", "before"),  # the base is trained
    ("save_row", "after"),
    ("_save", "before"),  # the first phase is
    ("_save", "after"),
    ("save_row", "after"),  # scored attached
    ("save_row", "after"),  # and merged
    ("Ledger.write", "after"),
    ("_save", "before"),  # the second phase is trained
    ("_save", "after"),
    ("save_row", "after"),
    ("Ledger.write", "after"),
    ("draw_retention", "before"),
]


class Phased:
    """Runs of the phased config below one directory."""

    def __init__(self, spawner, root):
        self.spawner, self.root = spawner, root

    def start(self, name, inject=None):
        words = ["train", "--config", str(CONFIG), "--workdir", str(self.root / name)]
        return self.spawner.start(words, self.root / f"{name}.log", inject, to_its_end=not inject)

    def finish(self, name, expected=None):
        assert self.start(name).wait() == 0, (self.root / f"{name}.log").read_text()
        found = outcome(self.root / name)
        if expected is not None:
            assert found.keys() == expected.keys()
            assert [key for key in found if found[key] != expected[key]] == []
        return found


def outcome(directory):
    """All that two equal runs must agree in, to the byte, by name."""
    found = {}
    for path in ("retention.json", *map(str, sorted(directory.glob("scores/*")))):
        file = directory / path
        found[file.relative_to(directory).as_posix()] = file.read_bytes()
    found["ledger"] = json.loads((directory / "ledger.json").read_text())
    for run in (directory / "base", *sorted((directory / "phases").iterdir())):
        name = run.relative_to(directory).as_posix()
        newest = max((run / "checkpoints").glob("[0-9]*"))
        for key, array in read_arrays(newest / "arrays").items():
            found[f"{name} {key}"] = np.asarray(array).tobytes()
        found[f"{name} rows"] = (run / "metrics.jsonl").read_text()
        for file in sorted((run / "adapter").glob("*")):
            found[f"{name} {file.name}"] = file.read_bytes()
    return found


@pytest.fixture
def phased(spawner, tmp_path):
    return Phased(spawner, tmp_path)


@pytest.fixture(scope="session")
def whole_phases(spawner, tmp_path_factory):
    """What a run of all phases gives that nobody disturbs."""
    return Phased(spawner, tmp_path_factory.mktemp("whole")).finish("run")


@pytest.mark.slow
def test_killed_between_two_phases(phased, whole_phases):
    """At all of them, one after the other, in one run."""
    for function, when in BETWEEN:
        kill = {"target": f"{PROGRESSIVE}:{function}", "when": when}
        process = phased.start("run", [["kill_at", kill]])
        assert process.wait() == -signal.SIGKILL, f"{when} {function}:\n{process.said}"
    phased.finish("run", whole_phases)


@pytest.mark.slow
def test_killed_at_random_instants(phased, whole_phases):
    """Each command goes on; a run that ends before it is killed is compared, and another begun."""
    began = time.monotonic()
    phased.finish("run0", whole_phases)
    lasts = time.monotonic() - began
    instants, killed, ended = random.Random(0), 0, 1
    while killed < 5:
        process = phased.start(f"run{ended}")
        time.sleep(instants.uniform(0, lasts))
        process.kill()
        code = process.wait()
        if code == -signal.SIGKILL:
            killed += 1
        else:
            assert code == 0, process.said  # it has gone on from a kill
            phased.finish(f"run{ended}", whole_phases)
            ended += 1
    phased.finish(f"run{ended}", whole_phases)


@pytest.mark.slow
def test_terminated_in_a_phase_it_saves_and_goes_on(phased, whole_phases):
    process = phased.start("run")
    rows = phased.root / "run/phases/1-first/metrics.jsonl"
    while not rows.exists():
        time.sleep(0.002)
    process.kill(signal.SIGTERM)
    assert process.wait() == 75
    phased.finish("run", whole_phases)
