"""The benchmarks run: a tiny round of each loop whose framework is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks import loop, restore, saves, tables
from benchmarks.loops import FRAMEWORKS, TASKS, Framework
from benchmarks.loops.flax_models import flax_model
from tests import compiling

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
    # In a process of its own: their imports warn, and their threads would stay. Their models are
    # PyTorch's or Keras's own; the other tasks differ from these two in numbers and layers.
    tasks = ["digits_mlp", *(["transformer"] if framework in ("torch", "keras_1") else [])]
    measured = list(loop.measure([framework], tasks, rounds=1, seconds=0.01, batches=2))
    assert [(task, number) for task, number, _ in measured] == [(task, 1) for task in tasks]
    assert all(found[framework][0] > 0 for _, _, found in measured)


@pytest.mark.slow
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
        loop,
        "measure",
        lambda frameworks, *_, **__: [("t", 1, {name: [2.0] for name in frameworks})],
    )
    loop.main(["--frameworks", "absent,by_hand", "--json", str(tmp_path / "loop.json")])
    assert "left out: Absent (not installed: no_such_package)" in capsys.readouterr().out
    record = json.loads((tmp_path / "loop.json").read_text())
    assert record["left_out"] == {"absent": ["no_such_package"]}
    assert record["steps_per_second"].keys() == {"t"}


class Measured:
    """A `measure` whose rounds are over at once, and what was printed and kept at each."""

    def __init__(self, monkeypatch, capsys, path, *, ends_with=None):
        self.seen, self.path, self.ends_with, self.capsys = [], path, ends_with, capsys
        monkeypatch.setattr(loop, "measure", self)
        monkeypatch.setattr(loop, "_dispatch_cost", lambda rounds: {"dispatch": 1.0})

    def __call__(self, frameworks, tasks, *, rounds, **options):
        for task in tasks:
            for number in range(1, rounds + 1):
                yield task, number, {name: [2.0] * number for name in frameworks}
                kept = json.loads(self.path.with_suffix(".part.json").read_text())
                steps = kept["steps_per_second"]
                rounds_kept = {task: len(steps[task]["jaxtrain"]["rounds"]) for task in steps}
                self.seen.append((rounds_kept, self.capsys.readouterr().out))
        if self.ends_with is not None:
            raise self.ends_with

    def run(self):
        words = "--tasks digits_mlp,mnist_mlp --frameworks jaxtrain,by_hand --rounds 2"
        loop.main([*words.split(), "--json", str(self.path)])


def test_rows_come_with_their_task_and_rounds_are_kept_at_once(tmp_path, capsys, monkeypatch):
    measured = Measured(monkeypatch, capsys, tmp_path / "loop.json")
    measured.run()
    kept, printed = zip(*measured.seen, strict=True)
    assert kept == (
        {"digits_mlp": 1},
        {"digits_mlp": 2},
        {"digits_mlp": 2, "mnist_mlp": 1},
        {"digits_mlp": 2, "mnist_mlp": 2},
    )
    assert ["by hand" in text for text in printed] == [False, True, False, True]
    assert "digits_mlp" in printed[1]
    assert "mnist_mlp" in printed[3]
    assert [path.name for path in tmp_path.iterdir()] == ["loop.json"]
    assert json.loads(measured.path.read_text())["engine_microseconds"] == {"dispatch": 1.0}


def test_what_was_measured_is_there_after_a_ctrl_c(tmp_path, capsys, monkeypatch):
    """And the record of an earlier whole run is, too."""
    (tmp_path / "loop.json").write_text("the one before")
    measured = Measured(monkeypatch, capsys, tmp_path / "loop.json", ends_with=KeyboardInterrupt())
    with pytest.raises(SystemExit) as stopped:
        measured.run()
    assert stopped.value.code == 130
    part = tmp_path / "loop.part.json"
    assert f"stopped; what was measured is in {part}" in capsys.readouterr().out
    assert json.loads(part.read_text())["steps_per_second"].keys() == {"digits_mlp", "mnist_mlp"}
    assert measured.path.read_text() == "the one before"


def test_stopped_before_anything_was_measured(tmp_path, capsys, monkeypatch):
    def measure(*_, **__):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(loop, "measure", measure)
    with pytest.raises(SystemExit):
        loop.main(["--frameworks", "by_hand", "--json", str(tmp_path / "loop.json")])
    assert capsys.readouterr().out.splitlines()[-1] == "stopped"
    assert not list(tmp_path.iterdir())


@pytest.fixture
def heeded():
    """Ctrl-C, which a shell's `&` lets a process and its children ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("heeded")
def test_a_real_ctrl_c_ends_all_its_processes_without_a_traceback(tmp_path):
    """Sent to the whole group, as a terminal does, in one of the first of many rounds."""
    words = "--tasks digits_mlp --frameworks jaxtrain,by_hand --rounds 99999 --seconds 0.01"
    path = tmp_path / "loop.json"
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "loop", *words.split(), "--json", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **compiling.READS},
        start_new_session=True,
    ) as process:
        try:
            until = time.monotonic() + 120
            while not path.with_suffix(".part.json").exists():
                assert time.monotonic() < until
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGINT)
            out, said = process.communicate(timeout=60)
        except BaseException:  # or it would be waited for, for ever
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 130, said
    assert "stopped; what was measured is in" in out
    assert said == ""
    while _has_members(process.pid):  # multiprocessing's own process ends a moment later
        assert time.monotonic() < until
        time.sleep(0.01)


def _has_members(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


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


def test_reading_a_table_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tables, "find_spec", lambda name: name == "pyarrow")
    path = tmp_path / "new" / "tables.json"
    words = ["--rows", "200", "--rounds", "1", "--directory", str(tmp_path), "--out", str(path)]
    assert command.main(["tables", *words]) == 0
    printed = capsys.readouterr().out
    assert "left out, as not installed: polars, pandas" in printed
    record = json.loads(path.read_text())
    assert record["readers"].keys() == {"jaxtrain", "pyarrow"}
    assert record["array_bytes"] == 200 * (18 + 5 + 1) * 4
    assert record["jaxtrain_seconds_of"]["pyarrow"] > 0
    assert str(tmp_path) not in path.read_text()


# -- restore -------------------------------------------------------------------------------------


def test_a_process_on_a_mesh_saves_and_loads_and_tells_what_is_wrong(tmp_path):
    mesh = (1, {"fsdp": 2})
    (found,) = restore.run(mesh, tmp_path, 1, save=tmp_path / "a", load=[tmp_path / "a"])
    (load,) = found["loads"].values()
    assert load["equal"] is True
    assert (
        found["save"]["state_bytes"] == found["save"]["held_bytes"] == load["held_bytes"] == 2**24
    )
    assert 0 < found["save"]["blocked_seconds"] < found["save"]["seconds"]
    assert load["peak_bytes"] > 0
    with pytest.raises(RuntimeError, match="a process of 1 on"):
        restore.run((1, {"fsdp": 3}), tmp_path, 1)  # does not divide a matrix


def test_the_slowest_process_counts_and_one_that_differs(tmp_path, monkeypatch):
    def run(mesh, root, megabytes, *, save=None, load=()):
        def figures(n):
            return {"seconds": n, "peak_bytes": n, "held_bytes": 2, "equal": n < 4}

        one = {"blocked_seconds": 1, "state_bytes": 8}
        return [
            {"save": figures(n) | one, "loads": {str(path): figures(n) for path in load}}
            for n in range(1, 1 + mesh[0])
        ]

    monkeypatch.setattr(restore, "run", run)
    path = tmp_path / "restore.json"
    restore.main(["--out", str(path), "--directory", str(tmp_path)])
    found = json.loads(path.read_text())
    assert found["meshes"]["1 device"]["8 devices, 2 processes"] == {"equal": True, "seconds": 2}
    assert found["meshes"]["1 device"]["8 devices, 4 processes"] == {"equal": False, "seconds": 4}
    assert len(found["meshes"]) == len(found["meshes"]["2 devices"]) == 6
    assert found["memory"]["load"] == {"seconds": 2, "peak_bytes": 2, "peak_of_state": 0.25}
    assert list(tmp_path.iterdir()) == [path]
