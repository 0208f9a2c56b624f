"""Fault 28: one process a run directory."""

from __future__ import annotations

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
