"""A run that takes a moment: left in mid-epoch, or done; and commands over copies of it.

    config = write_config(tmp_path / "config.json")
    train(task_of(config), tmp_path / "run", stop_at=5)
    code, said = command("train", "--config", config, "--workdir", tmp_path / "run")

4 steps an epoch, 2 epochs, a checkpoint every 2 steps.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jaxtrain.checkpoint.manifest import NAME, write_manifest
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import Preempted
from jaxtrain.main import main
from jaxtrain.run import Experiment, RunData, Task, make_config

CONFIG: dict[str, Any] = {
    "project": "tiny",
    "data": {"name": "digits", "batch_size": 350},
    "model": {"name": "mlp", "hidden": [4], "dropout": 0.2},
    "optimizer": {"name": "adamw", "learning_rate": 0.002},
    "train": {"epochs": 2},
    "checkpoint": {"every": 2, "keep": 9, "asynchronous": False},
    "hooks": {
        "progress": None,
        "console": None,
        "jsonl": {"every": 1},
        "stop": {"name": "early_stopping", "patience": 50},
        "rate": {"name": "learning_rate"},
    },
}


def write_config(path: Path, **changes: Any) -> Path:
    """The config as a JSON file, sections laid on it."""
    config = json.loads(json.dumps(CONFIG))
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(config))
    return path


def task_of(config: Path, **changes: Any) -> Task:
    """What is trained; making it takes most of a second, and it can be used often."""
    return Task.of(RunData.of(make_config(config, **changes)))


def train(task: Task, workdir: Path, stop_at: int | None = None, **options: Any) -> Experiment:
    """A run in this process, left after an iteration where one is named."""
    experiment = Experiment(task, workdir)
    if stop_at is None:
        experiment.train(**options)
    else:
        experiment.trainer.on(Events.ITERATION_COMPLETED(once=stop_at))(Engine.interrupt)
        with pytest.raises(Preempted):
            experiment.train(**options)
    return experiment


def command(*words: object) -> tuple[int, str]:
    """A command of the command line, in this process: its exit code, and all that it said."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main([str(word) for word in words])
    finally:
        logging.getLogger().removeHandler(handler)
    return code, said.getvalue()


def resume(config: Path, workdir: Path, *words: object) -> tuple[int, str]:
    """`train` over what is there."""
    return command("train", "--config", config, "--workdir", workdir, *words)


def checkpoints(run: Path) -> list[Path]:
    """Those committed, oldest first."""
    return sorted((run / "checkpoints").glob("[0-9]*"))


def alter(checkpoint: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a meta.json, and have the digests agree with it."""
    path = checkpoint / "meta.json"
    meta = json.loads(path.read_text())
    meta = change(meta) or meta
    path.write_text(json.dumps(meta))
    vouch(checkpoint)


def vouch(checkpoint: Path) -> None:
    """Digests of what is there now: who can write the files can write these."""
    (checkpoint / NAME).unlink(missing_ok=True)
    write_manifest(checkpoint)


def copied(run: Path, place: Path) -> Path:
    """The directory of a run elsewhere, times included."""
    return Path(shutil.copytree(run, place))


def state_of(root: Path) -> dict[Path, Any]:
    """Every name below `root`, the bytes, and when it was changed."""
    found: dict[Path, Any] = {}
    for path in (root, *root.rglob("*")):
        kind = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[path] = (kind.st_mtime_ns, kind.st_mode, content)
    return found
