"""`evaluate`: the metrics of a checkpoint on every data set, as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import add_config_words, config_of, task_of
from jaxtrain.errors import ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="a run directory (its best) or a checkpoint"
    )


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.checkpoint is None:
        raise ConfigError("evaluate: --checkpoint is missing; give a run directory or a checkpoint")
    from jaxtrain.run import Experiment
    from jaxtrain.run.found import find_checkpoint

    path, run = find_checkpoint(Path(options.checkpoint))
    if options.config is None:
        options.config = str(run / "config.yaml")
    task = task_of(config_of(options, overrides))
    figures = Experiment(task, run, state=task.abstract_state()).evaluate(path)
    print(json.dumps({"checkpoint": str(path), **figures}, indent=2))
    return 0


COMMAND = Command("metrics of a checkpoint on every data set", _add_words, _evaluate)
