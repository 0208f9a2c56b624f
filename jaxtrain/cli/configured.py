"""What commands that take a config have in common: its words, and the stages made of it.

add_config_words(parser)
config = config_of(options, overrides)
task = task_of(config)
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from jaxtrain.errors import ConfigError

if TYPE_CHECKING:
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.run import Task


def add_config_words(parser: argparse.ArgumentParser) -> None:
    """`--config` and what overrides it, and `--plugin`."""
    parser.add_argument("--config", metavar="FILE", help="a .py, .yaml, .json, .toml or .sdn file")
    parser.add_argument("--seed", metavar="N", help="overrides `seed`")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, gpu or tpu")
    parser.add_argument("--workdir", metavar="DIR", help="the run directory")
    add_plugin_words(parser)


def add_plugin_words(parser: argparse.ArgumentParser) -> None:
    """`--plugin`."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module or .py file that registers components; can be repeated",
    )


def config_of(options: argparse.Namespace, overrides: list[str]) -> ExperimentConfig:
    """The checked config that the words ask for.

    Raises:
        ConfigError: none is named, or it is wrong.
    """
    from jaxtrain.run import make_config

    if options.config is None:
        raise ConfigError(f"{options.command}: --config is missing; for instance configs/digits.py")
    named = {key: getattr(options, key) for key in ("seed", "device", "workdir")}
    overrides = [*overrides, *(f"{k}={v}" for k, v in named.items() if v is not None)]
    return make_config(options.config, overrides, plugins=options.plugin)


def task_of(config: ExperimentConfig) -> Task:
    """The task of a config, on the device that it asks for."""
    from jaxtrain.run import RunData, Task, choose_device

    choose_device(config.device)
    return Task.of(RunData.of(config))
