"""The commands: what each prints and returns, and what none of them imports too early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.words import parse_words
from jaxtrain.errors import ConfigError
from jaxtrain.run import RunData

DIGITS = str(Path(__file__).parents[2] / "configs/digits.py")
QUIET = ["--config.hooks.progress=null", "--config.hooks.console=null", "--config.model.hidden=[8]"]


def call(*words: str) -> int:
    options, overrides = parse_words(list(words))
    return COMMANDS[options.command](options, overrides)


def test_nothing_heavy_is_imported_before_a_command_is_called():
    """A Ctrl-C in the middle of such an import could not be heeded."""
    late = ["jax", "numpy", "flax", "pydantic", "yaml", "optax", "orbax"]
    code = (
        f"import sys, jaxtrain.main; print([m for m in {late} if m in sys.modules])\n"
        "from jaxtrain.cli.words import parse_words; parse_words(['train', '--config', 'x'])\n"
        f"print([m for m in {late} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_train_goes_on_and_evaluate_takes_the_stage_that_it_needs(tmp_path, capsys, monkeypatch):
    workdir = tmp_path / "run"
    words = ["--config", DIGITS, *QUIET, "--workdir", str(workdir), "--config.train.epochs=1"]
    assert call("train", *words) == 0
    said = capsys.readouterr().out
    assert f"run: {workdir}" in said
    assert said.rstrip().endswith(f"{workdir / 'metrics.json'}")
    before = {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()}

    from jaxtrain.run import Task

    monkeypatch.setattr(Task, "initial_state", _abstract_only(Task.initial_state))
    assert call("evaluate", "--checkpoint", str(workdir)) == 0
    assert '"accuracy"' in capsys.readouterr().out
    assert call("plan", *words) == 0
    assert "4,0" not in capsys.readouterr().err
    assert {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()} == before


def _abstract_only(initial_state):
    """An initial state that may be asked for its shapes, and is never computed."""
    import jax

    def traced(self):
        state = initial_state(self)
        assert all(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(state.params))
        return state

    return traced


def test_check_reads_the_data_once(capsys, monkeypatch):
    calls, of = [], RunData.of.__func__
    monkeypatch.setattr(
        RunData, "of", classmethod(lambda cls, config: calls.append(1) or of(cls, config))
    )
    words = ["--config.model.dropout=0", "--config.train.accumulate=2"]
    assert call("check", "--config", DIGITS, *words, "--config.hooks.tensorboard=null") == 0
    assert "all checks passed" in capsys.readouterr().out
    assert calls == [1]


@pytest.mark.parametrize("command", ["train", "check", "plan"])
def test_a_config_is_wanted(command):
    with pytest.raises(ConfigError, match=f"{command}: --config is missing"):
        call(command)


def test_a_run_directory_is_wanted(tmp_path):
    with pytest.raises(ConfigError, match="found nothing there"):
        call("evaluate", "--checkpoint", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="found neither"):
        call("evaluate", "--checkpoint", str(tmp_path))
    with pytest.raises(ConfigError, match=r"found no config\.yaml in it"):
        call("checkpoints", str(tmp_path))
    with pytest.raises(ConfigError, match="takes no --config"):
        call("checkpoints", str(tmp_path), "--config.seed=1")
