"""The commands: each takes the options and overrides of its words, and returns an exit code.

    COMMANDS["plan"](options, ["train.epochs=5"])

Nothing heavy is imported before a command is called: `train` must heed a Ctrl-C that comes while
the libraries are read.
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jaxtrain.cli.printing import checkpoint_line, finding_line, introduction, outcome
from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from jaxtrain.checkpoint import Survey
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.run import Task


def train(options: argparse.Namespace, overrides: list[str]) -> int:
    """Train, or go on with what is in the run directory."""
    # First of all: a Ctrl-C during the slow imports would be raised in the middle of them.
    with StopOnSignals(second=signal.SIG_DFL) as signals:
        task = _task(_config(options, overrides))
        from jaxtrain.run import Experiment

        experiment = Experiment(task)
        print(introduction(experiment), flush=True)
        figures = experiment.train(resume=options.resume, guard=signals.guard)
    print(outcome(figures, experiment.directory.path))
    return 0


def evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
    """Print the metrics of a checkpoint on every data set, as JSON."""
    if options.checkpoint is None:
        raise ConfigError("evaluate: --checkpoint is missing; give a run directory or a checkpoint")
    path, run = _find_checkpoint(Path(options.checkpoint))
    if options.config is None:
        options.config = str(run / "config.yaml")
    task = _task(_config(options, overrides))
    from jaxtrain.run import Experiment

    figures = Experiment(task, run, state=task.abstract_state()).evaluate(path)
    print(json.dumps({"checkpoint": str(path), **figures}, indent=2))
    return 0


def check(options: argparse.Namespace, overrides: list[str]) -> int:
    """Look for faults in data, model and step."""
    config = _config(options, overrides)
    from jaxtrain.run import RunData, choose_device
    from jaxtrain.run.checks import run_checks

    choose_device(config.device)
    failed = 0
    for finding in run_checks(RunData.of(config)):
        failed += not finding.ok
        print(finding_line(finding), flush=True)
    print("all checks passed" if not failed else f"{failed} of the checks failed")
    return 1 if failed else 0


def plan(options: argparse.Namespace, overrides: list[str]) -> int:
    """Say what a run will do, and with --calibrate which form is faster."""
    task = _task(_config(options, overrides))
    from jaxtrain.run import Experiment
    from jaxtrain.run.planning import calibrate, describe_plan

    experiment = Experiment(task, state=task.abstract_state())
    print(f"run        {experiment.directory.path}")
    print(describe_plan(experiment))
    if options.calibrate:
        print(calibrate(task))
    return 0


def checkpoints(options: argparse.Namespace, overrides: list[str]) -> int:
    """Verify the checkpoints of a run, and say which would be used."""
    if overrides:
        raise ConfigError(f"checkpoints: takes no --config, found --config.{overrides[0]}")
    run = Path(options.workdir)
    survey = _survey(run)
    if not survey.found:
        raise ConfigError(f"{run}: holds no checkpoints")
    for found in survey.found:
        uses = [use for use in ("resume", "best") if found.saved == getattr(survey, use)]
        print(checkpoint_line(found, uses if found.saved and not found.fault else []))
    if survey.resume is None:
        print("none can be used; training would refuse to go on rather than begin anew")
        return CheckpointError.exit_code
    print(f"training would go on from {survey.resume.path.name}, the newest good one")
    if survey.best is not None:
        print(f"evaluation would use {survey.best.path.name}, the best good one")
    return 0


Command = Callable[[argparse.Namespace, list[str]], int]

COMMANDS: Final[Mapping[str, Command]] = {
    "train": train,
    "evaluate": evaluate,
    "check": check,
    "plan": plan,
    "checkpoints": checkpoints,
}


# -- from words to a config, a task, a checkpoint ------------------------------------------------


def _config(options: argparse.Namespace, overrides: list[str]) -> ExperimentConfig:
    from jaxtrain.run import make_config

    if options.config is None:
        raise ConfigError(f"{options.command}: --config is missing; for instance configs/digits.py")
    named = {key: getattr(options, key) for key in ("seed", "device", "workdir")}
    overrides = [*overrides, *(f"{k}={v}" for k, v in named.items() if v is not None)]
    return make_config(options.config, overrides, plugins=options.plugin)


def _task(config: ExperimentConfig) -> Task:
    from jaxtrain.run import RunData, Task, choose_device

    choose_device(config.device)
    return Task.of(RunData.of(config))


def _find_checkpoint(path: Path) -> tuple[Path, Path]:
    """The checkpoint that `path` means, and its run directory."""
    if (path / "meta.json").is_file():
        return path, path.parent.parent
    if (path / "config.yaml").is_file():
        survey = _survey(path)
        best = survey.best or survey.resume
        if best is not None:
            return best.path, path
        if survey.found:
            faults = "\n  ".join(f"{found.path.name}: {found.fault}" for found in survey.found)
            raise CheckpointError(f"{path}: every checkpoint is bad:\n  {faults}")
    raise ConfigError(
        f"--checkpoint {path}: expected a run directory or one of its checkpoints/NUMBER, found "
        + ("neither" if path.is_dir() else "nothing there")
    )


def _survey(run: Path) -> Survey:
    """The checkpoints of a run directory, verified."""
    from jaxtrain.checkpoint import take_survey
    from jaxtrain.config import load
    from jaxtrain.metrics import better

    if not (run / "config.yaml").is_file():
        raise ConfigError(f"{run}: expected a run directory, found no config.yaml in it")
    saved = load(run / "config.yaml")
    monitor = str(saved.get("checkpoint.monitor"))
    mode = better(monitor, saved.get("checkpoint.mode", "auto"))
    return take_survey(run / "checkpoints", monitor=monitor, mode=mode)
