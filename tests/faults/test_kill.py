"""Faults 6 and 7: SIGKILL, at random instants and at every phase of a save and of a row."""

from __future__ import annotations

import random
import signal
import time

import pytest

from jaxtrain.checkpoint import take_survey

STORE = "jaxtrain.checkpoint.committer"
PHASES = [
    *((f"{STORE}:Committer._sweep", 4, when) for when in ("before", "after")),
    *((f"{STORE}:write_arrays", 4, when) for when in ("before", "within", "after")),
    (f"{STORE}:_encode", 4, "after"),
    *((f"{STORE}:write_manifest", 4, when) for when in ("before", "within", "after")),
    *((f"{STORE}:sync", 4, when) for when in ("before", "after")),  # behind the rename
    *((f"{STORE}:Committer._prune", 4, when) for when in ("before", "within", "after")),
    *(("shutil:rmtree", 2, when) for when in ("before", "within", "after")),
    *(("os:rename", nth, "before") for nth in range(1, 9)),
    *(("os:replace", nth, when) for nth in (1, 2) for when in ("before", "after")),
    *(("jaxtrain.hooks.jsonl:append_row", 7, when) for when in ("before", "after")),
    *(("jaxtrain.hooks.csv:CSV._write", 2, when) for when in ("before", "after")),
    ("jaxtrain.run.experiment:write_summary", 1, "before"),
    ("jaxtrain.run.directory:dump", 1, "after"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "nth", "when"), PHASES)
def test_faults_6_and_7_killed_at_every_phase(runs, whole, tmp_path, target, nth, when):
    inject = [["kill_at", {"target": target, "nth": nth, "when": when}]]
    assert runs.run("run", inject) == -signal.SIGKILL, runs.said("run")
    assert_sound(tmp_path / "run", at_least=nth > 3 and target.startswith(STORE))
    runs.finish("run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(5))
def test_faults_6_and_7_killed_at_fifty_random_instants(runs, whole, share):
    """Ten in each of five shares; the same ten in every run of the tests.

    Each command goes on where the one before it was killed. A run that comes to its end before the
    next kill is compared, and another begun.
    """
    began = time.monotonic()
    runs.finish("run0", whole)
    lasts = time.monotonic() - began
    instants, killed, ended = random.Random(share), 0, 1
    while killed < 10:
        name = f"run{ended}"
        process = runs.start(name)
        time.sleep(instants.uniform(0, lasts))
        process.kill()
        code = process.wait()
        if code == -signal.SIGKILL:
            killed += 1
            assert_sound(runs.root / name)
        else:
            assert code == 0, process.said  # it has gone on from a kill
            runs.finish(name, whole)
            ended += 1
    runs.finish(f"run{ended}", whole)


def assert_sound(workdir, *, at_least: bool = False) -> None:
    """Nothing half-written is listed, and whatever is listed is good."""
    survey = take_survey(workdir / "checkpoints", monitor="val/loss", mode="min")
    listed = [found for found in survey.found if not found.path.name.startswith(".tmp")]
    assert [found.fault for found in listed] == [""] * len(listed)
    if at_least:
        assert survey.resume is not None
