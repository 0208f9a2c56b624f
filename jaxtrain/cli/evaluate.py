"""`evaluate`: the metrics of a checkpoint on every data set, as JSON."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import (
    SUFFIXES,
    Once,
    add_config_words,
    config_of,
    put_once,
    task_of,
)
from jaxtrain.errors import ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    add_config_words(parser)
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        action=Once,
        help="a run directory (its best) or a checkpoint; the word --checkpoint may be left out",
    )


def take_checkpoint(options: argparse.Namespace, word: str) -> None:
    """Take a word for `--checkpoint`.

    Raises:
        ConfigError: it is a config, or another checkpoint is given already.
    """
    if word.endswith(SUFFIXES) and not os.path.isdir(word):
        run = os.path.dirname(os.path.abspath(word))
        there = os.path.isdir(os.path.join(run, "checkpoints"))
        raise ConfigError(
            f"{options.command}: {word} is a config; expected a run directory or one of its "
            f"checkpoints/NUMBER, {f'such as {run}' if there else 'as train says it: run: ...'}"
        )
    put_once(options, "checkpoint", word)


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.checkpoint is None:
        raise ConfigError("evaluate: a run directory or a checkpoint is missing")
    from jaxtrain.run import Experiment
    from jaxtrain.run.found import find_checkpoint

    path, run = find_checkpoint(Path(options.checkpoint))
    if options.config is None:
        options.config = str(run / "config.yaml")
    task = task_of(config_of(options, overrides))
    figures = Experiment(task, run, state=task.abstract_state()).evaluate(path)
    print(json.dumps({"checkpoint": str(path), **figures}, indent=2))
    return 0


COMMAND = Command(
    "metrics of a checkpoint on every data set", _add_words, _evaluate, take_checkpoint
)
