"""Fault 28: one process a run directory."""

from __future__ import annotations

import shutil
import signal
import socket

LATE = "jaxtrain.engine.device.dispatch:Dispatch.run"


def test_fault_28_the_second_process_refuses_and_names_the_holder(runs, whole, tmp_path):
    there = tmp_path / "there"
    inject = [["hold_at", {"target": LATE, "nth": 9, "path": str(there)}]]
    first = runs.start("run", inject)
    runs.wait_for(there)
    code, said = runs.command(*runs.words(tmp_path / "run"))
    assert code == 2, said
    assert f"in use by process {first.pid} on {socket.gethostname()} since 20" in said
    assert runs.command("checkpoints", str(tmp_path / "run"))[0] == 0  # looking is allowed
    there.unlink()
    assert first.wait() == 0, first.said
    runs.assert_equal("run", whole)


def test_fault_28_a_dead_process_keeps_no_lock(runs, whole, tmp_path):
    there = tmp_path / "there"
    inject = [["hold_at", {"target": LATE, "nth": 9, "path": str(there)}]]
    first = runs.start("run", inject)
    runs.wait_for(there)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    assert str(first.pid) in (tmp_path / "run/.lock").read_text()
    runs.finish("run", whole)


def test_fault_28_two_that_begin_at_once_are_one_run(runs, whole, tmp_path):
    """Held behind the first look, when nothing was there: the second is refused by the lock."""
    at_lock = [tmp_path / "lock0", tmp_path / "lock1"]
    steps = tmp_path / "steps"
    first, second = (
        runs.spawner.start(
            runs.words(tmp_path / "run"),
            tmp_path / f"{number}.log",
            [
                ["hold_at", {"target": "jaxtrain.run.directory:lock", "path": str(path)}],
                ["hold_at", {"target": LATE, "nth": 2, "path": str(steps)}],
            ],
        )
        for number, path in enumerate(at_lock)
    )
    for path in at_lock:
        runs.wait_for(path)
    at_lock[0].unlink()
    runs.wait_for(steps)
    at_lock[1].unlink()
    assert second.wait() == 2, second.said
    assert f"in use by process {first.pid}" in second.said
    steps.unlink()
    assert first.wait() == 0, first.said
    runs.assert_equal("run", whole)


def test_fault_28_and_of_two_configs_one_is_told_apart(runs, whole, tmp_path):
    """The other has begun and ended since the first look."""
    there = tmp_path / "there"
    late = runs.spawner.start(
        runs.words(tmp_path / "run", seed="5"),
        tmp_path / "late.log",
        [["hold_at", {"target": "jaxtrain.run.directory:lock", "path": str(there)}]],
    )
    runs.wait_for(there)
    assert runs.run("run") == 0
    there.unlink()
    assert late.wait() == 2, late.said
    assert "seed: 0 in checkpoints/" in late.said
    runs.assert_equal("run", whole)


def test_fault_28_a_directory_that_is_deleted_while_it_trains_is_exit_4(runs, tmp_path):
    """At 888f0db: exit 0, and half of a directory."""
    there = tmp_path / "there"
    inject = [["hold_at", {"target": LATE, "nth": 9, "path": str(there)}]]
    process = runs.start("run", inject)
    runs.wait_for(there)
    shutil.rmtree(tmp_path / "run")
    there.unlink()
    assert process.wait() == 4, process.said
    assert process.said.count("the directory is gone") == 1
    assert "Traceback" not in process.said
    assert not (tmp_path / "run").exists()
