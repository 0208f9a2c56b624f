"""`train` and the commands that look at what it has left."""

from __future__ import annotations

from pathlib import Path

import jax
import pytest

from jaxtrain.cli import train
from jaxtrain.cli.train import iterations_of
from jaxtrain.errors import ConfigError
from jaxtrain.run.writers import OWN_FILES

ROOT = Path(__file__).parents[2]


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


# -- --profile ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "meant"), [("10:20", (10, 20)), ("1:1", (1, 1))])
def test_iterations_to_profile(word, meant):
    assert iterations_of(word) == meant


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("10", "expected FIRST:LAST, such as 10:20, found '10'"),
        ("10-20", "expected FIRST:LAST"),
        ("10:20:2", "expected FIRST:LAST"),
        ("-3:20", "expected FIRST:LAST"),
        ("a:b", "expected FIRST:LAST"),
        ("٣:٤", "expected FIRST:LAST"),
        ("0:3", "iterations are counted from 1, found '0:3'"),
        ("5:3", "the first comes behind the last, found '5:3'"),
    ],
)
def test_what_is_no_range_of_iterations(word, says):
    with pytest.raises(ConfigError, match=f"^--profile: {says}"):
        iterations_of(word)


def test_a_profile_that_can_not_be_is_refused_before_anything_is_written(call, digits, tmp_path):
    workdir = tmp_path / "run"
    words = [*digits, "--workdir", str(workdir)]
    with pytest.raises(ConfigError, match="--profile: expected FIRST:LAST"):
        call("train", "--config", "nowhere.py", "--profile", "3")
    with pytest.raises(ConfigError, match=r"the run has 41 iterations, 1 epochs of 41; found 9:42"):
        call("train", *words, "--profile", "9:42")
    hook = "--config.hooks.profiler={first: 2, iterations: 2}"
    with pytest.raises(ConfigError, match="the config has the hook profiler already"):
        call("train", *words, hook, "--profile", "3:4")
    phased = str(ROOT / "configs/korean_medical.py")
    with pytest.raises(ConfigError, match="--profile: is for a single run; this config has phases"):
        call("train", phased, "--profile", "3:4")
    assert not workdir.exists()


def test_a_profile_is_no_part_of_the_run(call, digits, tmp_path, caplog):
    """The trace is there, and the run is the one that it was."""
    workdir = tmp_path / "run"
    words = [*digits, "--workdir", str(workdir)]
    with caplog.at_level("INFO"):
        assert call("train", *words, "--profile", "40:41") == 0
    assert len([*(workdir / "profile").rglob("*.xplane.pb")]) == 1
    assert "profile of the iterations 40 to 41: " in caplog.text
    assert "XLA counts" in caplog.text
    assert "profiler" not in (workdir / "config.yaml").read_text()
    assert call("train", *words) == 0
