"""What the commands that use a checkpoint have in common: their words, and the model in it.

add_checkpoint_words(parser)
trained = trained_of(options, overrides)
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from jaxtrain.cli.configured import add_plugin_words
from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.run import Trained


def add_checkpoint_words(parser: argparse.ArgumentParser) -> None:
    """`--checkpoint`, `--device` and `--plugin`."""
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="a run directory (its best) or a checkpoint"
    )
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, gpu or tpu")
    add_plugin_words(parser)


def trained_of(options: argparse.Namespace, overrides: list[str]) -> Trained:
    """The model in the checkpoint, on the device that is asked for.

    Raises:
        ConfigError: no checkpoint is named, or it can't be had.
    """
    if options.checkpoint is None:
        raise ConfigError(
            f"{options.command}: --checkpoint is missing; give a run directory or a checkpoint"
        )
    from jaxtrain.run import Trained, choose_device

    # JAX is not asked for its device before it is known which one is wanted.
    choose_device(options.device or "auto")
    device = [] if options.device is None else [f"device={options.device}"]
    return Trained.load(options.checkpoint, [*overrides, *device], plugins=options.plugin)
