"""Steps compiled for devices that are not there."""

from __future__ import annotations

import dataclasses
import json

import jax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.parallel import work_of
from jaxtrain.run import RunData, Task, make_config
from jaxtrain.run import simulated as module
from jaxtrain.run.needs import Needs
from jaxtrain.run.simulated import Simulated, simulated

CONFIG = {
    "data": {"name": "digits", "batch_size": 64},
    "model": {"name": "mlp", "hidden": [64, 64]},
    "optimizer": {"name": "adamw"},
    "precision": "bfloat16",
}


@pytest.fixture(scope="module")
def found():
    """On a mesh of 2 x 2, whose own devices this process does not have."""
    return simulated(make_config({**CONFIG, "mesh": {"data": -1, "fsdp": 2}}), 4)


@pytest.fixture(scope="module")
def task():
    return Task.of(RunData.of(make_config(CONFIG)))


def test_the_mesh_is_over_all_that_were_asked_for(found):
    assert found.mesh == {"data": 2, "fsdp": 2, "tensor": 1}
    assert found.layout[0] == "mesh       {data: 2, fsdp: 2, tensor: 1}, over 4 devices"
    assert "hidden_0/kernel [64, 64] over (fsdp, whole): 8.0 KiB on each" in found.layout[2]


def test_bytes_are_those_of_one_device(found, task):
    whole, kernels = Needs.of(task), 2 * 64 * 64 * 4
    assert found.needs.params == whole.params - kernels // 2
    assert found.needs.optimizer == whole.optimizer - kernels
    assert found.needs.rows == 16
    assert found.needs.activations == whole.activations // 4
    assert 0 < found.needs.copies < whole.copies
    assert found.temporary > 0


def test_each_device_does_its_part_of_the_products(found, task):
    """A quarter of the rows each; the norm of a gradient that lies whole is everybody's."""
    shapes = task.abstract_state(), task.data.example()
    alone = work_of(jax.jit(task.train_step).lower(*shapes).as_text("hlo"))
    assert found.work.flops == pytest.approx(alone.flops / 4, rel=0.01)
    assert found.work.unknown_loops == 0


def test_collectives_are_in_the_runs_own_precision_and_scatter(found):
    """As the partitioner has made them: a CPU sums bfloat16 in float32, and all of it."""
    by_kind = {}
    for one in found.collectives:
        by_kind.setdefault(one.kind, []).append(one)
    assert [(one.bytes, one.parts) for one in by_kind["all-gather"]] == [(64 * 64 * 2, 2)] * 2
    assert sorted(by_kind) == ["all-gather", "all-reduce", "reduce-scatter"]
    scattered = {one.members for one in by_kind["reduce-scatter"]}
    assert scattered == {(0, 1)}


def test_it_comes_through_json_as_it_was(found):
    assert Simulated.from_json(json.loads(json.dumps(dataclasses.asdict(found)))) == found


def test_what_does_not_fit_so_many_is_told_as_it_would_be_there():
    with pytest.raises(ConfigError, match=r"data\.batch_size: expected a multiple of 3"):
        simulated(make_config(CONFIG), 3)


@pytest.mark.parametrize("devices", [0, -1])
def test_a_number_that_can_not_be_meant(devices):
    with pytest.raises(ConfigError, match=f"--devices: expected 1 or more, found {devices}"):
        simulated(make_config(CONFIG), devices)


def test_a_process_that_dies_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="for 2 simulated devices ended with 1"):
        simulated(make_config(CONFIG), 2)


def test_of_one_device_nothing_is_partitioned(tmp_path):
    assert module._partitioned(tmp_path) is None
    for name, text in (("a.after_spmd-partitioning.b.txt", "short"), ("c.txt", "no"),
                       ("d.after_spmd-partitioning.e.txt", "the longest")):  # fmt: skip
        (tmp_path / name).write_text(text)
    assert module._partitioned(tmp_path) == "the longest"
