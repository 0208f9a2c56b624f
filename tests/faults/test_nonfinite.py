"""Faults 15 and 16: NaN in the loss, or in gradients of a finite loss."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.checkpoint.arrays import read_arrays


def assert_stopped_at(runs, iteration: int, last_good: str) -> None:
    said = runs.said("run")
    assert f"iteration {iteration} (epoch " in said
    assert "That update was not applied" in said
    assert "Traceback" not in said
    assert runs.checkpoints("run")[-1] == last_good
    for name in runs.checkpoints("run"):
        arrays = read_arrays(runs.root / "run/checkpoints" / name / "arrays")
        for array in arrays.values():
            assert not np.issubdtype(array.dtype, np.floating) or np.isfinite(array).all()
    status = json.loads((runs.root / "run/metadata.json").read_text())["status"]
    assert status.startswith(f"failed: iteration {iteration}")


@pytest.mark.parametrize(("iteration", "last_good"), [(5, "00000004"), (19, "00000018")])
def test_fault_15_nan_in_the_loss(runs, iteration, last_good):
    inject = [["poison_at", {"iteration": iteration}]]
    assert runs.run("run", inject, hooks__nan_guard__every="2") == 3
    assert_stopped_at(runs, iteration + 1, last_good)


@pytest.mark.slow
def test_fault_16_nan_gradients_of_a_finite_loss(runs):
    """In the ninth step, the one with padding in its batch; the guard looks at the epoch's end."""
    assert runs.run("run", [["nan_gradients", {}]]) == 3
    assert_stopped_at(runs, 9, "00000008")
    assert "grad_norm nan" in runs.said("run")
    assert "loss nan" not in runs.said("run")
