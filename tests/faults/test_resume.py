"""Faults 1 and 2: a run stopped anywhere goes on to the same bytes."""

from __future__ import annotations

import shutil

import pytest

# 4 steps an epoch.
TWELVE = {"data__batch_size": "350", "checkpoint__every": "1", "checkpoint__keep": "20"}


@pytest.mark.slow
@pytest.mark.parametrize("iteration", [5, 9, 13])
def test_fault_1_stopped_in_the_middle_of_an_epoch(runs, whole, iteration):
    """Dropout, shuffling and accumulation are on; 9 is the last step of an epoch."""
    assert runs.run("run", [["interrupt_at", {"iteration": iteration}]]) == 75
    assert f"stopped after iteration {iteration}, saved" in runs.said("run")
    runs.finish("run", whole)


@pytest.mark.slow
def test_fault_2_restored_at_every_step_of_twelve(runs, undisturbed, tmp_path):
    """Each of the checkpoints, as the newest one, leads to the same end."""
    expected = undisturbed(**TWELVE)
    assert runs.run("all", **TWELVE) == 0
    names = runs.checkpoints("all")
    assert len(names) >= 12
    for count in range(1, len(names)):
        shutil.copytree(tmp_path / "all", tmp_path / f"at{count}")
        for later in names[count:]:
            shutil.rmtree(tmp_path / f"at{count}/checkpoints" / later)
        runs.finish(f"at{count}", expected, **TWELVE)
