"""`train` and the commands that look at what it has left."""

from __future__ import annotations

import jax
import pytest

from jaxtrain.cli import train
from jaxtrain.errors import ConfigError
from jaxtrain.run.writers import OWN_FILES


def test_train_goes_on_and_others_take_the_stage_that_they_need(
    call, digits, tmp_path, capsys, monkeypatch
):
    workdir = tmp_path / "run"
    words = [*digits, "--workdir", str(workdir)]
    assert call("train", *words) == 0
    said = capsys.readouterr().out
    assert f"run: {workdir}" in said
    assert said.rstrip().endswith(f"{workdir / 'metrics.json'}")
    # What the run writes itself no hook may write as well; the hooks have their own.
    there = {path.name for path in workdir.iterdir()}
    hooks = {name for name in there if name.startswith(("metrics.csv", "metrics.jsonl", "events."))}
    assert there - hooks == set(OWN_FILES) - {"artifacts"}  # only where somebody logs one
    assert len(hooks) == 3
    before = {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()}

    from jaxtrain.run import Task

    monkeypatch.setattr(Task, "initial_state", _abstract_only(Task.initial_state))
    assert call("evaluate", "--checkpoint", str(workdir)) == 0
    assert '"accuracy"' in capsys.readouterr().out
    assert call("evaluate", str(workdir)) == 0
    assert call("plan", *words) == 0
    assert call("plan", str(workdir)) == 0
    assert "4,0" not in capsys.readouterr().err
    assert {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()} == before

    # A run directory is a run, wherever it has been moved to meanwhile.
    moved = workdir.rename(tmp_path / "moved")
    capsys.readouterr()
    monkeypatch.undo()
    assert call("train", str(moved)) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"run: {moved}\n")
    assert said.rstrip().endswith(f"{moved / 'metrics.json'}")
    assert not workdir.exists()


def test_phases_are_trained_by_one_process(call, digits, monkeypatch):
    monkeypatch.setattr(train, "phased_of", lambda *_: object())
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    with pytest.raises(ConfigError, match="with phases is trained by one process"):
        call("train", *digits)


def _abstract_only(initial_state):
    """An initial state that may be asked for its shapes, and is never computed."""

    def traced(self):
        state = initial_state(self)
        assert all(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(state.params))
        return state

    return traced
