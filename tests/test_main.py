"""The command line, as a person uses it: words, exit codes, and what is said."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxtrain.cli.commands import COMMANDS
from jaxtrain.main import main
from tests import compiling

ROOT = Path(__file__).parents[1]
DIGITS = str(ROOT / "configs/digits.py")
QUIET = [
    "--config.hooks.progress=null",
    "--config.hooks.tensorboard=null",
    "--config.model.hidden=[16]",
]


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jaxtrain.main", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        **options,
    )


def test_trains_then_evaluates(tmp_path, capsys):
    workdir = tmp_path / "run"
    words = ["--config", DIGITS, *QUIET, "--config.train.epochs=2", "--workdir", str(workdir)]
    assert main([*words, "--seed", "3", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "1,293 train, 144 validation, 360 test rows" in said
    assert "train.epochs=2" in said  # the difference from the defaults
    assert "test: " in said
    figures = json.loads((workdir / "metrics.json").read_text())
    assert json.loads((workdir / "metadata.json").read_text())["seed"] == 3

    assert main(["evaluate", "--checkpoint", str(workdir)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test"]["accuracy"] == figures["test_accuracy"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--config.optimizer.learning_rat=1"], "did you mean 'learning_rate'"),
        (["--config.optimizer.learning_rate=fast"], "between 1e-08 and 10, found 'fast'"),
        (["--config.model.name=mpl"], "unknown model 'mpl'; did you mean 'mlp'"),
        (["--config.data.name=mnist", "--config.data.root=nowhere"], "nowhere"),
        (["--config.train.epochs=0"], "train.epochs"),
        (["--device", "abacus"], "device"),
        (["--config.nonsense"], "expected a value"),
    ],
)
def test_a_wrong_config_is_exit_2_and_leaves_no_directory(tmp_path, capsys, words, says):
    workdir = tmp_path / "run"
    assert main(["--config", DIGITS, "--workdir", str(workdir), *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not workdir.exists()


def test_no_device_is_touched_before_the_config_is_good():
    code = (
        "import sys, jax; from jax._src import xla_bridge\n"
        "from jaxtrain.main import main\n"
        f"code = main(['--config', {DIGITS!r}, '--config.train.epochs=many'])\n"
        "print(code, xla_bridge.backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["2", "False"], done.stderr


def test_missing_config_file(capsys):
    assert main(["--config", "configs/digit.py"]) == 2
    assert "configs/digit.py" in capsys.readouterr().err


def test_broken_data_is_exit_3(tmp_path, shared_data, capsys):
    import gzip

    for path in (shared_data / "mnist").glob("*.gz"):
        raw = gzip.decompress(path.read_bytes()) if "t10k" in path.name else b""
        (tmp_path / path.stem).write_bytes(raw or path.read_bytes()[:1])
    images = next((shared_data / "mnist").glob("train-images*"))
    labels = next((shared_data / "mnist").glob("train-labels*"))
    (tmp_path / labels.stem).write_bytes(gzip.decompress(labels.read_bytes()))
    (tmp_path / images.stem).write_bytes(gzip.decompress(images.read_bytes())[:1_000_000])
    config = ["--config", str(ROOT / "configs/mnist_mlp.py"), f"--config.data.root={tmp_path}"]
    assert main([*config, "--workdir", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert "train-images-idx3-ubyte" in said
    assert "truncated: expected 47,040,000 bytes of values" in said
    assert "found 999,984" in said
    assert not (tmp_path / "run").exists()


def test_nothing_to_evaluate(tmp_path, capsys):
    assert main(["evaluate", "--checkpoint", str(tmp_path / "gone")]) == 2
    assert "gone" in capsys.readouterr().err


LONG = ["--config", DIGITS, *QUIET, "--config.train.epochs=40", "--config.model.dropout=0.1"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The directory of a long run that was left alone."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    assert run(*LONG, "--workdir", str(workdir)).returncode == 0
    return workdir


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_goes_on(alone, tmp_path, number):
    """Bytes and rows of the continued run equal those of one that was left alone."""
    stopped = tmp_path / "stopped"
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxtrain.main", *LONG, "--workdir", str(stopped)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **compiling.READS},
    )
    rows = stopped / "metrics.jsonl"
    _wait_until(lambda: rows.exists() and rows.read_text().count("\n") > 3, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "run the same command again to go on" in said
    stopped_at = json.loads((stopped / "metadata.json").read_text())["status"]
    assert stopped_at == "interrupted"

    assert run(*LONG, "--workdir", str(stopped)).returncode == 0
    assert rows.read_text() == (alone / "metrics.jsonl").read_text()
    assert _arrays(stopped) == _arrays(alone)


def _wait_until(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def _arrays(workdir: Path) -> dict[str, bytes]:
    from jaxtrain.checkpoint.arrays import read_arrays

    newest = sorted((workdir / "checkpoints").iterdir())[-1]
    return {name: np.asarray(a).tobytes() for name, a in read_arrays(newest / "arrays").items()}


def test_a_plugin_brings_its_own_model(tmp_path, capsys):
    plugin = tmp_path / "my_models.py"
    plugin.write_text(
        "from flax import linen as nn\n"
        "from jaxtrain.models import MODELS, from_linen\n"
        "@MODELS.register('tests_linear')\n"
        "def linear(num_outputs: int, *, bias: bool = True):\n"
        "    return from_linen(nn.Dense(num_outputs, use_bias=bias))\n"
    )
    workdir = tmp_path / "run"
    words = ["--config", DIGITS, *QUIET[:2], "--config.train.epochs=1", "--workdir", str(workdir)]
    config = tmp_path / "c.yaml"
    config.write_text("model: {name: tests_linear, bias: false}\n")
    words[1] = str(config)
    words = [w for w in words if "hooks" not in w]
    assert main([*words, "--plugin", str(plugin)]) == 0
    assert "tests_linear, 640 parameters" in capsys.readouterr().out


def test_help_names_the_commands():
    done = run("--help")
    assert done.returncode == 0
    for word in ("train", "evaluate", "check", "--config.SECTION.KEY=VALUE"):
        assert word in done.stdout


@pytest.mark.slow
def test_a_second_signal_ends_at_once_and_the_last_checkpoint_loads(tmp_path):
    workdir = tmp_path / "run"
    plugin = tmp_path / "stuck.py"
    plugin.write_text(
        "import time\n"
        "from jaxtrain.engine import Events\n"
        "from jaxtrain.hooks import HOOKS\n"
        "@HOOKS.register('tests_stuck')\n"
        "class Stuck:\n"
        "    def __init__(self, *, at: int = 45):\n"
        "        self.at = at\n"
        "    def attach(self, engine):\n"
        "        engine.attach_handler(Events.ITERATION_COMPLETED(once=self.at), self.wait)\n"
        "    def wait(self):\n"
        "        print('stuck', flush=True)\n"
        "        for _ in range(1200):\n"
        "            time.sleep(0.1)\n"
    )
    words = ["--config", DIGITS, *QUIET, "--workdir", str(workdir), "--plugin", str(plugin)]
    with subprocess.Popen(
        [sys.executable, "-m", "jaxtrain.main", *words, "--config.hooks.tests_stuck.at=45"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **compiling.READS, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any(line == "stuck\n" for line in process.stdout)
        # The checkpoint of the epoch before is being written in the background.
        _wait_until(lambda: any((workdir / "checkpoints").glob("[0-9]*")), process)
        process.send_signal(signal.SIGTERM)
        assert any("stopping at the next safe place" in line for line in process.stderr)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == -signal.SIGTERM  # it would be stuck for two minutes
    assert run("evaluate", "--checkpoint", str(workdir), "--plugin", str(plugin)).returncode == 0


@pytest.mark.parametrize("command", ["train", "plan"])
def test_an_interrupted_command_promises_to_go_on_where_it_would(monkeypatch, capsys, command):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, command, dataclasses.replace(COMMANDS[command], run=interrupted))
    assert main([command, "--config", DIGITS]) == 130
    said = capsys.readouterr().err
    assert "stopped at once" in said
    assert ("goes on from its last checkpoint" in said) == (command == "train")
