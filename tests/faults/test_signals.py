"""Faults 3 to 5: SIGTERM at whatever moment. (5 is in tests/test_main.py.)"""

from __future__ import annotations

import json
import signal

import pytest

# A moment: where the process is when the signal comes, and what it has saved by then.
# The sixth wait for data comes in the middle of the second epoch, however long dispatches are by
# then: at the end of one the newest checkpoint would be the one to save.
_DISPATCH = "jaxtrain.engine.device.dispatch:Dispatch"
MOMENTS = {
    "in a step": {"target": f"{_DISPATCH}.run", "nth": 9},
    "compiling": {"target": f"{_DISPATCH}._prepare", "nth": 1},
    "waiting for data": {"target": "jaxtrain.engine.batches.resident:Resident.take", "nth": 6},
    "validating": {"target": "jaxtrain.hooks.validation:run_unless_stopping", "nth": 2},
}
KEEP = {"checkpoint__keep": "50", "data__eval_batch_size": "4"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", MOMENTS)
def test_faults_3_and_4_a_signal_saves_once_and_the_run_goes_on(
    runs, undisturbed, tmp_path, moment, number
):
    expected = undisturbed(**KEEP)
    there = tmp_path / "there"
    process = runs.start("run", [["hold_at", {**MOMENTS[moment], "path": str(there)}]], **KEEP)
    runs.wait_for(there)
    before = runs.checkpoints("run")
    process.stop(there, number)
    assert process.wait() == 75, process.said
    assert len(runs.checkpoints("run")) == len(before) + 1
    assert json.loads((tmp_path / "run/metadata.json").read_text())["status"] == "interrupted"
    runs.finish("run", expected, **KEEP)


def test_fault_4_a_long_validation_is_left_and_done_anew(runs, undisturbed, tmp_path):
    """After the first of its 36 batches."""
    expected = undisturbed(**KEEP)
    there = tmp_path / "there"
    process = runs.start("run", [["hold_evaluation", {"path": str(there)}]], **KEEP)
    runs.wait_for(there)
    process.stop(there)
    assert process.wait() == 75, process.said
    newest = tmp_path / "run/checkpoints" / runs.checkpoints("run")[-1]
    meta = json.loads((newest / "meta.json").read_text())
    assert meta["engine"]["counters"]["epoch_open"] is True
    assert '"event": "epoch"' not in (tmp_path / "run/metrics.jsonl").read_text()
    runs.finish("run", expected, **KEEP)


def test_fault_4_stopped_in_the_evaluation_of_the_report(runs, whole, tmp_path):
    there = tmp_path / "there"
    inject = [
        ["hold_evaluation", {"path": str(there), "nth": 4}],  # three epochs were validated
        ["kill_at", {"target": "jaxtrain.run.experiment:write_summary"}],  # it must not come so far
    ]
    process = runs.start("run", inject)
    runs.wait_for(there)
    process.stop(there)
    assert process.wait() == 75, process.said
    assert not (tmp_path / "run/metrics.json").exists()
    runs.finish("run", whole)
    assert len(runs.checkpoints("run")) == 2  # the finished run was not saved once more


def test_a_signal_while_the_checkpoint_is_loaded_saves_no_second_one(runs, whole, tmp_path):
    assert (
        runs.run("run", [["kill_at", {"target": "jaxtrain.hooks.jsonl:append_row", "nth": 9}]]) < 0
    )
    before = runs.checkpoints("run")
    there = tmp_path / "there"
    target = "jaxtrain.hooks.checkpoint:CheckpointStore.load"
    process = runs.start("run", [["hold_at", {"target": target, "path": str(there)}]])
    runs.wait_for(there)
    process.stop(there)
    assert process.wait() == 75, process.said
    assert runs.checkpoints("run") == before
    runs.finish("run", whole)


@pytest.mark.slow
def test_fault_4_a_loader_that_hangs_is_not_waited_for(runs, tmp_path):
    """The fourth batch never comes; the signal ends the run all the same."""
    assert runs.run("whole", [["streamed", {}]]) == 0
    there = tmp_path / "there"
    process = runs.start("run", [["streamed", {"stall_at": 4, "path": str(there)}]])
    runs.wait_for(there)
    process.kill(signal.SIGTERM)
    assert process.wait() == 75, process.said
    assert len(runs.checkpoints("run")) == 1
    assert runs.run("run", [["streamed", {}]]) == 0
    runs.assert_equal("run", runs.outcome("whole"))
