"""The command line: words in, calls of `jaxtrain.run.experiment` out.

    python -m jaxtrain.main --config configs/digits.py --config.train.epochs=5
    python -m jaxtrain.main evaluate --checkpoint runs/digits/seed0-1a2b3c4d
    python -m jaxtrain.main check --config configs/mnist_mlp.py
    python -m jaxtrain.main checkpoints runs/digits/seed0-1a2b3c4d

Exit codes: 0 done, 1 a check failed or an unforeseen error, 2 a wrong config, path or argument, or
a run directory that another process has, 3 NaN or broken data, 4 a full disk, or no checkpoint
could be written or read, 75 stopped by a signal or a time limit and saved: the same command goes
on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.cli.words import COMMANDS, parse
from jaxtrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    JaxtrainError,
    NonFiniteError,
    Preempted,
)

if TYPE_CHECKING:
    from jaxtrain.checkpoint import Found, Survey
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.run.experiment import Experiment


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    logging.getLogger("jaxtrain").setLevel(logging.INFO)
    try:
        if not words or words[0] not in (*COMMANDS, "-h", "--help", "--version"):
            words = ["train", *words]
        options, overrides = parse(words)
        command = {
            "train": _train,
            "evaluate": _evaluate,
            "check": _check,
            "plan": _plan,
            "checkpoints": _checkpoints,
        }[options.command]
        return command(options, overrides)
    except JaxtrainError as error:
        print(f"{_heading(error)}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `| head` has seen enough; Python must not try to flush to it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a lost mount: not a fault of the program
        print(f"storage error: {error}", file=sys.stderr)
        return CheckpointError.exit_code
    except KeyboardInterrupt:
        print("stopped at once; the last checkpoint is where the run can go on", file=sys.stderr)
        return 130


# -- the commands --------------------------------------------------------------------------------


def _train(options: argparse.Namespace, overrides: list[str]) -> int:
    # First of all: a Ctrl-C during the slow imports would be raised in the middle of them.
    with StopOnSignals(second=signal.SIG_DFL) as signals:
        config = _config(options, overrides)
        from jaxtrain.run.directory import RunDirectory
        from jaxtrain.run.experiment import Experiment

        experiment = Experiment(config)
        directory = RunDirectory.of(config).path
        print(_introduction(experiment, directory), flush=True)
        figures = experiment.train(resume=options.resume, guard=signals.guard)
    shown = ", ".join(
        f"{name[5:]} {value:.4f}" for name, value in figures.items() if name.startswith("test_")
    )
    print(f"test: {shown} (epoch {figures['checkpoint_epoch']}, best by {figures['monitor']})")
    print(f"report: {directory / 'learning_curves.png'}, {directory / 'metrics.json'}")
    return 0


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.checkpoint is None:
        raise ConfigError("evaluate: --checkpoint is missing; give a run directory or a checkpoint")
    path, run = _find_checkpoint(Path(options.checkpoint))
    if options.config is None:
        options.config = str(run / "config.yaml")
    config = _config(options, overrides)
    from jaxtrain.run.experiment import Experiment

    figures = Experiment(config).evaluate(path)
    print(json.dumps({"checkpoint": str(path), **figures}, indent=2))
    return 0


def _check(options: argparse.Namespace, overrides: list[str]) -> int:
    config = _config(options, overrides)
    from jaxtrain.run.checks import run_checks

    failed = 0
    for finding in run_checks(config):
        failed += not finding.ok
        print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}", flush=True)
    print("all checks passed" if not failed else f"{failed} of the checks failed")
    return 1 if failed else 0


def _plan(options: argparse.Namespace, overrides: list[str]) -> int:
    config = _config(options, overrides)
    from jaxtrain.run.directory import RunDirectory
    from jaxtrain.run.experiment import Experiment
    from jaxtrain.run.planning import calibrate, describe_plan

    experiment = Experiment(config, abstract=True)
    directory = RunDirectory.of(config)
    experiment.attach(directory)
    print(f"run        {directory.path}")
    print(describe_plan(experiment))
    if options.calibrate:
        print(calibrate(Experiment(config)))
    return 0


def _checkpoints(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides:
        raise ConfigError(f"checkpoints: takes no --config, found --config.{overrides[0]}")
    run = Path(options.workdir)
    survey = _survey(run)
    if not survey.found:
        raise ConfigError(f"{run}: holds no checkpoints")
    for found in survey.found:
        uses = [use for use in ("resume", "best") if found.saved == getattr(survey, use)]
        print(_line(found, uses if found.saved and not found.fault else []))
    if survey.resume is None:
        print("none can be used; training would refuse to go on rather than begin anew")
        return CheckpointError.exit_code
    print(f"training would go on from {survey.resume.path.name}, the newest good one")
    if survey.best is not None:
        print(f"evaluation would use {survey.best.path.name}, the best good one")
    return 0


# -- from words to a config ----------------------------------------------------------------------


def _config(options: argparse.Namespace, overrides: list[str]) -> ExperimentConfig:
    from jaxtrain.run.experiment import make_config

    if options.config is None:
        raise ConfigError(f"{options.command}: --config is missing; for instance configs/digits.py")
    named = {key: getattr(options, key) for key in ("seed", "device", "workdir")}
    overrides = [*overrides, *(f"{k}={v}" for k, v in named.items() if v is not None)]
    return make_config(options.config, overrides, plugins=options.plugin)


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


# -- what a person reads -------------------------------------------------------------------------


def _introduction(experiment: Experiment, directory: Path) -> str:
    from jaxtrain.config import differences

    config, splits = experiment.config, experiment.splits
    sizes = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    rows = ", ".join(f"{len(d):,} {name}" for name, d in sizes.items() if d is not None)
    lines = [
        f"run: {directory}",
        f"data: {splits.train.name}, {rows} rows",
        f"model: {config.model.name}, {experiment.parameter_count():,} parameters",
    ]
    changed = [f"{key}={_short(value)}" for key, _, value in differences(config)]
    if changed:
        lines.append("differs from the defaults: " + ", ".join(changed))
    return "\n".join(lines)


def _line(found: Found, uses: list[str]) -> str:
    """One checkpoint: name, what it says of itself, and what becomes of it."""
    said = "" if found.saved is None else f"iteration {found.saved.iteration}"
    if found.saved is not None and isinstance(found.saved.meta.get("metrics"), dict):
        figures = found.saved.meta["metrics"].items()
        said += "".join(f", {n} {v:.4f}" for n, v in figures if isinstance(v, int | float))
    verdict = f"good{': ' if uses else ''}{', '.join(uses)}" if not found.fault else found.fault
    return f"{found.path.name:14} {said:40}  {verdict}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _heading(error: JaxtrainError) -> str:
    for kind, heading in (
        (Preempted, "interrupted"),
        (ConfigError, "config error"),
        (DataError, "data error"),
        (NonFiniteError, "not finite"),
        (CheckpointError, "checkpoint error"),
    ):
        if isinstance(error, kind):
            return heading
    return "error"


if __name__ == "__main__":
    sys.exit(main())
