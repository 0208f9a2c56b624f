"""Fault 23: checkpoints of another model, optimizer or dtype. (Adapters: with their own issue.)"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from jaxtrain.checkpoint.arrays import read_arrays, write_arrays
from jaxtrain.checkpoint.manifest import write_manifest


def test_fault_23_every_leaf_that_differs_is_listed(runs, tmp_path):
    """Shape, dtype, missing and extra leaves, in params and optimizer state; digests are good."""
    assert runs.run("run", [["interrupt_at", {"iteration": 14}]]) == 75
    for checkpoint in (tmp_path / "run/checkpoints").iterdir():
        arrays = read_arrays(checkpoint / "arrays")
        kernel = "train_state/params/hidden_0/kernel"
        moment = next(n for n in arrays if "/mu/" in n and n.endswith("hidden_0/bias"))
        gone = next(n for n in arrays if "/nu/" in n and n.endswith("hidden_0/kernel"))
        arrays[kernel] = arrays[kernel][:, :5]
        arrays[moment] = arrays[moment].astype(np.float16)
        arrays["train_state/params/adapter/kernel"] = np.ones(3, np.float32)
        del arrays[gone]
        shutil.rmtree(checkpoint / "arrays")
        write_arrays(checkpoint / "arrays", arrays)
        write_manifest(checkpoint)
    before = runs.checkpoints("run")
    assert runs.run("run") == 2
    said = runs.said("run")
    assert f"{kernel}: this run has float32[64, 8], the checkpoint float32[64, 5]" in said
    assert f"{moment}: this run has float32[8], the checkpoint float16[8]" in said
    assert f"missing in the checkpoint: {gone}" in said
    assert "not in this run: train_state/params/adapter/kernel" in said
    assert runs.checkpoints("run") == before  # nothing is wrong with it: it is not set aside


@pytest.mark.slow
def test_fault_23_another_optimizer_through_the_command_line(runs, tmp_path):
    assert runs.run("run", train__epochs="1") == 0
    code, said = runs.command("evaluate", str(tmp_path / "run"), "--config.optimizer.name=sgd")
    assert code == 2, said
    assert "optimizer.name: 'sgd' now, " in said
    assert runs.run("run", train__epochs="1", optimizer__name="sgd") == 2
    assert "optimizer.name: " in runs.said("run")
