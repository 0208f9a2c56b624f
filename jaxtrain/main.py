"""The command line: words in, calls of `jaxtrain.experiment` out.

    python -m jaxtrain.main --config configs/digits.py --config.train.epochs=5
    python -m jaxtrain.main evaluate --checkpoint runs/digits/seed0-1a2b3c4d
    python -m jaxtrain.main check --config configs/mnist_mlp.py

Exit codes: 0 done, 1 a check failed or an unforeseen error, 2 a wrong config, path or argument,
3 NaN or broken data, 4 a checkpoint could not be written or read, 75 stopped by a signal and saved:
the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtrain._version import __version__
from jaxtrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    JaxtrainError,
    NonFiniteError,
    Preempted,
)

if TYPE_CHECKING:
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.experiment import Experiment

COMMANDS = ("train", "evaluate", "check")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    logging.getLogger("jaxtrain").setLevel(logging.INFO)
    try:
        if not words or words[0].startswith("--config"):
            words = ["train", *words]
        options, overrides = _parse(words)
        return int(
            {"train": _train, "evaluate": _evaluate, "check": _check}[options.command](
                options, overrides
            )
        )
    except JaxtrainError as error:
        print(f"{_heading(error)}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a lost mount: not a fault of the program
        print(f"storage error: {error}", file=sys.stderr)
        return CheckpointError.exit_code
    except KeyboardInterrupt:
        print("stopped at once; the last checkpoint is where the run can go on", file=sys.stderr)
        return 130


# -- the commands --------------------------------------------------------------------------------


def _train(options: argparse.Namespace, overrides: list[str]) -> int:
    config = _config(options, overrides)
    from jaxtrain.experiment import Experiment
    from jaxtrain.run_directory import RunDirectory
    from jaxtrain.signals import stop_on_signals

    experiment = Experiment(config)
    directory = RunDirectory.of(config).path
    print(_introduction(experiment, directory), flush=True)
    figures = experiment.train(resume=options.resume, guard=stop_on_signals)
    shown = ", ".join(
        f"{name[5:]} {value:.4f}" for name, value in figures.items() if name.startswith("test_")
    )
    print(f"test: {shown} (epoch {figures['best_epoch']}, best by {figures['monitor']})")
    print(f"report: {directory / 'learning_curves.png'}, {directory / 'metrics.json'}")
    return 0


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.checkpoint is None:
        raise ConfigError("evaluate: --checkpoint is missing; give a run directory or a checkpoint")
    path, run = _find_checkpoint(Path(options.checkpoint))
    if options.config is None:
        options.config = str(run / "config.yaml")
    config = _config(options, overrides)
    from jaxtrain.experiment import Experiment

    figures = Experiment(config).evaluate(path)
    print(json.dumps({"checkpoint": str(path), **figures}, indent=2))
    return 0


def _check(options: argparse.Namespace, overrides: list[str]) -> int:
    config = _config(options, overrides)
    from jaxtrain.checks import run_checks

    failed = 0
    for finding in run_checks(config):
        failed += not finding.ok
        print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}", flush=True)
    print("all checks passed" if not failed else f"{failed} of the checks failed")
    return 1 if failed else 0


# -- from words to a config ----------------------------------------------------------------------


def _parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the `dotted.key=value` items of all `--config.dotted.key=value`."""
    prefix = "--config."
    overrides: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if not word.startswith(prefix):
            rest.append(word)
        elif "=" in word:
            overrides.append(word.removeprefix(prefix))
        else:
            value = next(waiting, None)
            if value is None:
                raise ConfigError(f"{word}: expected a value; write {word}=VALUE")
            overrides.append(f"{word.removeprefix(prefix)}={value}")
    return _parser().parse_args(rest), overrides


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxtrain",
        description="Train, evaluate and check models from a config file.",
        epilog="--config.SECTION.KEY=VALUE overrides any key of the config. "
        "Without a command, train.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"jaxtrain {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = {
        "train": "train, or continue the run in the directory",
        "evaluate": "metrics of a checkpoint on every data set",
        "check": "look for faults in data, model and step before training",
    }
    for name in COMMANDS:
        command = commands.add_parser(name, help=about[name], allow_abbrev=False)
        command.add_argument(
            "--config", metavar="FILE", help="a .py, .yaml, .json, .toml or .sdn file"
        )
        command.add_argument("--seed", metavar="N", help="overrides `seed`")
        command.add_argument("--device", metavar="NAME", help="auto, cpu, gpu or tpu")
        command.add_argument("--workdir", metavar="DIR", help="the run directory")
        command.add_argument(
            "--plugin",
            action="append",
            default=[],
            metavar="MODULE",
            help="import a module or .py file that registers components; can be repeated",
        )
        if name == "train":
            command.add_argument(
                "--resume",
                choices=("auto", "must", "never"),
                default="auto",
                help="continue a run that is there (auto), insist on one, or refuse one",
            )
        if name == "evaluate":
            command.add_argument(
                "--checkpoint", metavar="PATH", help="a run directory (its best) or a checkpoint"
            )
    return parser


def _config(options: argparse.Namespace, overrides: list[str]) -> ExperimentConfig:
    from jaxtrain.experiment import make_config

    if options.config is None:
        raise ConfigError(f"{options.command}: --config is missing; for instance configs/digits.py")
    named = {key: getattr(options, key) for key in ("seed", "device", "workdir")}
    overrides = [*overrides, *(f"{k}={v}" for k, v in named.items() if v is not None)]
    return make_config(options.config, overrides, plugins=options.plugin)


def _find_checkpoint(path: Path) -> tuple[Path, Path]:
    """The checkpoint that `path` means, and its run directory."""
    from jaxtrain.checkpoint import CheckpointStore
    from jaxtrain.config import load

    if (path / "meta.json").exists():
        return path, path.parent.parent
    if (path / "config.yaml").exists():
        saved = load(path / "config.yaml")
        store = CheckpointStore(
            path / "checkpoints",
            monitor=saved.get("checkpoint.monitor"),
            mode=saved.get("checkpoint.mode"),
        )
        best = store.best()
        if best is not None:
            return best.path, path
    raise ConfigError(
        f"--checkpoint {path}: expected a run directory or one of its checkpoints/NUMBER, found "
        + ("nothing there" if not path.exists() else "neither")
    )


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
    changed = [
        f"{key}={_short(value)}"
        for key, _, value in differences(config)
        if not key.endswith(".name") or not key.startswith("hooks.")
    ]
    if config.hooks:
        changed.append(f"hooks={','.join(config.hooks)}")
    if changed:
        lines.append("differs from the defaults: " + ", ".join(changed))
    return "\n".join(lines)


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
