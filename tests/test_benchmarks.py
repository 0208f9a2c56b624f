"""The benchmarks run: a tiny round of each loop whose framework is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks import loop, saves
from benchmarks.loops import FRAMEWORKS, TASKS, Framework
from benchmarks.loops.flax_models import flax_model

ROOT = Path(__file__).parents[1]
JAX_ALONE = [name for name, framework in FRAMEWORKS.items() if not framework.needs]
PEERS = [name for name, framework in FRAMEWORKS.items() if framework.needs]

COUNT_PARAMETERS = {
    "torch": """
import json
from benchmarks.loops import TASKS
from benchmarks.loops.torch_models import torch_model
count = lambda task: sum(p.numel() for p in torch_model(task).parameters())
print(json.dumps({name: count(task) for name, task in TASKS.items()}))
""",
    "keras": """
import json
from benchmarks.loops import TASKS
from benchmarks.loops.with_keras import keras_model
count = lambda task: keras_model(task).count_params()
print(json.dumps({name: count(task) for name, task in TASKS.items()}))
""",
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("framework", JAX_ALONE)
def test_trains_with_jax(framework, task):
    run = FRAMEWORKS[framework].make(TASKS[task].shortened(2))
    run(1)
    run(2)


@pytest.mark.slow
@pytest.mark.parametrize("framework", PEERS)
def test_trains_with_a_peer(framework):
    _skip_if_any(FRAMEWORKS[framework].missing())
    # In a process of its own: their imports warn, and their threads would stay.
    speeds = loop.measure([framework], list(TASKS), rounds=1, seconds=0.01, batches=2)
    assert speeds.keys() == TASKS.keys()
    assert all(values[framework][0] > 0 for values in speeds.values())


@pytest.mark.parametrize("peer", COUNT_PARAMETERS)
def test_a_peers_models_are_as_large(peer):
    _skip_if_any(FRAMEWORKS[{"torch": "torch", "keras": "keras_1"}[peer]].missing())
    done = subprocess.run(
        [sys.executable, "-c", COUNT_PARAMETERS[peer]],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert json.loads(done.stdout) == {name: _parameters(task) for name, task in TASKS.items()}


def _parameters(task):
    arrays = task.shortened(1).data()
    shapes = jax.eval_shape(flax_model(task).init, jax.random.key(0), arrays)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def _skip_if_any(missing):
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; the extra 'peers' has them")


@pytest.mark.slow
def test_prints_a_table_and_writes_json(tmp_path, capsys):
    path = tmp_path / "new" / "loop.json"
    options = "--tasks digits_mlp --frameworks jaxtrain,by_hand --rounds 2 --seconds 0.01"
    assert command.main(["loop", *options.split(), "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "JAX loop by hand" in printed
    assert "µs a dispatch" in printed
    text = path.read_text()
    assert str(ROOT) not in text
    record = json.loads(text)
    found = record["steps_per_second"]["digits_mlp"]
    assert len(found["by_hand"]["rounds"]) == 2
    assert record["ratios"]["digits_mlp"]["jaxtrain"]["by_hand"] > 0
    assert record["engine_microseconds"].keys() == {"dispatch", "process"}
    assert record["machine"]["versions"].keys() >= {"jax", "numpy"}


def test_leaves_out_what_is_not_installed(tmp_path, capsys, monkeypatch):
    absent = Framework("Absent", "with_absent", needs=("no_such_package",))
    monkeypatch.setitem(loop.FRAMEWORKS, "absent", absent)
    monkeypatch.setattr(
        loop, "measure", lambda frameworks, *_, **__: {"t": {name: [2.0] for name in frameworks}}
    )
    loop.main(["--frameworks", "absent,by_hand", "--json", str(tmp_path / "loop.json")])
    assert "left out: Absent (not installed: no_such_package)" in capsys.readouterr().out
    record = json.loads((tmp_path / "loop.json").read_text())
    assert record["left_out"] == {"absent": ["no_such_package"]}
    assert record["steps_per_second"].keys() == {"t"}


def test_an_error_in_a_worker_is_shown_here():
    with loop.Worker("by_hand") as worker, pytest.raises(RuntimeError, match="no_such_task"):
        worker.prepare("no_such_task", seconds=1.0)


def test_an_unknown_framework_is_named(capsys):
    with pytest.raises(SystemExit):
        loop.main(["--frameworks", "jaxtrian"])
    assert "unknown: jaxtrian (known: jaxtrain, " in capsys.readouterr().err


def test_without_a_name_it_lists_the_benchmarks(capsys):
    assert command.main([]) == 2
    assert "loop" in capsys.readouterr().out


def test_a_frozen_base_is_measured_and_other_figures_keep_their_place(tmp_path, capsys):
    path = tmp_path / "saves.json"
    path.write_text(json.dumps({"parameters": {"9M": "as it was"}}))
    words = ["--millions", "", "--frozen", "1", "--rounds", "2"]
    saves.main([*words, "--directory", str(tmp_path), "--out", str(path)])
    record = json.loads(path.read_text())
    assert record["parameters"] == {"9M": "as it was"}
    found = record["frozen"]["base"]["1M"]
    assert found["inside"]["later"]["bytes"] > found["base_bytes"] > 3_900_000
    assert found["shared"]["first"]["bytes"] > found["base_bytes"]
    assert found["shared"]["later"]["bytes"] < 20_000
    assert "base shared:" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


def test_the_phases_of_a_save_are_measured(tmp_path):
    step, state = saves.training(1)
    found = saves.phases(step(state), 1, tmp_path / "phases")
    assert found.keys() == {"copy", "write", "digest", "sync"}
    assert min(found.values()) > 0
