"""Fault 29: a checkpoint of other versions, flags or settings than those of now."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inject", "says"),
    [
        (["pretend", {"path": "jax:__version__", "value": "0.0.1"}], "jax: '0.0.1' -> "),
        (
            ["variable", {"name": "XLA_FLAGS", "value": "--xla_cpu_enable_fast_min_max=false"}],
            "xla_flags: '--xla_cpu_enable_fast_min_max=false' -> ''",
        ),
        (
            ["setting", {"name": "jax_threefry_partitionable", "value": False}],
            "jax_threefry_partitionable: 'False' -> 'True'",
        ),
    ],
)
def test_fault_29_another_environment_is_a_loud_warning(runs, tmp_path, inject, says):
    assert runs.run("run", [inject, ["interrupt_at", {"iteration": 12}]]) == 75
    assert "not bit-exact" not in runs.said("run")
    assert runs.run("run") == 0
    said = runs.said("run")
    assert "the continuation is not bit-exact" in said
    assert says in said


def test_fault_29_the_same_environment_is_none(runs):
    assert runs.run("run", [["interrupt_at", {"iteration": 12}]]) == 75
    assert runs.run("run") == 0
    assert "not bit-exact" not in runs.said("run")


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs a second core to take away",
)
def test_fault_29_fewer_cores_are_a_loud_warning(runs, whole):
    """A CPU's sums are shared out over its threads: other bits; at 888f0db without a word."""
    cores = len(os.sched_getaffinity(0))
    assert runs.run("run", [["interrupt_at", {"iteration": 12}]]) == 75
    assert runs.run("run", [["cores", {"count": 1}]]) == 0
    said = runs.said("run")
    assert "the continuation is not bit-exact" in said
    assert f"cpu_threads: {cores} -> 1" in said
    # And back: what was saved there says so, too.
    assert runs.run("other", [["cores", {"count": 1}], ["interrupt_at", {"iteration": 12}]]) == 75
    assert "not bit-exact" not in runs.said("other")
    assert runs.run("other") == 0
    assert f"cpu_threads: 1 -> {cores}" in runs.said("other")


def versions(python: str) -> dict[str, str]:
    code = "import json, jax, flax; print(json.dumps([jax.__version__, flax.__version__]))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(("jax", "flax"), json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("direction", ["there", "back"])
def test_fault_29_one_pair_of_libraries_goes_on_from_the_other(
    make_runs, other_spawner, whole, tmp_path, direction
):
    """20 steps of an MLP with one, the rest with the other: told, and nothing else is different."""
    first, second = make_runs(tmp_path), make_runs(tmp_path, of=other_spawner)
    before, after = versions(sys.executable), versions(os.environ["JAXTRAIN_OTHER_PYTHON"])
    if direction == "back":
        first, second, before, after = second, first, after, before
    assert before["jax"] != after["jax"], "JAXTRAIN_OTHER_PYTHON has the same version of JAX"

    assert first.run("run", [["interrupt_at", {"iteration": 20}]]) == 75, first.said("run")
    assert "not bit-exact" not in first.said("run")
    assert second.command("checkpoints", str(tmp_path / "run"))[0] == 0
    assert second.run("run") == 0, second.said("run")
    said = second.said("run")
    assert "the continuation is not bit-exact" in said
    for library, version in before.items():
        if version != after[library]:
            assert f"{library}: '{version}' -> '{after[library]}'" in said

    # Which batches, which steps, which rows: the same. The numbers: about.
    found = second.outcome("run")
    assert (found["cursor"], found["counters"]) == (whole["cursor"], whole["counters"])
    assert found["rows"].count("\n") == whole["rows"].count("\n")
    assert found["arrays"].keys() == whole["arrays"].keys()
    for name, content in whole["arrays"].items():
        if "params" in name:
            ours, theirs = (np.frombuffer(b, np.float32) for b in (found["arrays"][name], content))
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4, err_msg=name)
