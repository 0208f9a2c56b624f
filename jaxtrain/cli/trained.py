"""What the commands that use a checkpoint have in common: their words, and the model in it.

add_checkpoint_words(parser)
take_checkpoint(options, "runs/digits/seed0-1a2b3c4d")
trained = trained_of(options, overrides)
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from jaxtrain.cli.configured import SUFFIXES, Once, add_plugin_words, put_once
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.run import Trained


def add_checkpoint_words(parser: argparse.ArgumentParser) -> None:
    """`--checkpoint`, `--device` and `--plugin`."""
    parser.add_argument(
        "--checkpoint",
        metavar="PATH",
        action=Once,
        help="a run directory (its best) or a checkpoint; the word --checkpoint may be left out",
    )
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, gpu or tpu")
    add_plugin_words(parser)


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


def trained_of(options: argparse.Namespace, overrides: list[str]) -> Trained:
    """The model in the checkpoint, on the device that is asked for.

    Raises:
        ConfigError: no checkpoint is named, or it can't be had.
    """
    if options.checkpoint is None:
        raise ConfigError(f"{options.command}: a run directory or a checkpoint is missing")
    from jaxtrain.run import Trained, choose_device

    # JAX is not asked for its device before it is known which one is wanted.
    choose_device(options.device or "auto")
    device = [] if options.device is None else [f"device={options.device}"]
    return Trained.load(options.checkpoint, [*overrides, *device], plugins=options.plugin)
