"""What commands that take a config have in common: its words, and the stages made of it.

add_config_words(parser)
take_config(options, "configs/digits.py")
config = config_of(options, overrides)
task = task_of(config)
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jaxtrain.errors import ConfigError, did_you_mean
from jaxtrain.files.paths import typed_directory

if TYPE_CHECKING:
    from jaxtrain.config import ExperimentConfig
    from jaxtrain.phases import PhasedConfig
    from jaxtrain.run import Task


# As `jaxtrain.config.SUFFIXES`, which would bring heavy libraries with it.
SUFFIXES = (".py", ".yaml", ".yml", ".json", ".toml", ".sdn")


class Once(argparse.Action):
    """An option of which there can't be two: neither would be meant more than the other."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option: str | None = None,
    ) -> None:
        """Set it."""
        put_once(namespace, self.dest, str(values))


def put_once(options: argparse.Namespace, name: str, value: str) -> None:
    """Set an option that may have been set to the same before.

    Raises:
        ConfigError: it was set to something else.
    """
    before = getattr(options, name, None)
    if before is not None and before != value:
        raise ConfigError(
            f"{options.command}: both {before!r} and {value!r} are given as --{name}; take one away"
        )
    setattr(options, name, value)


def add_config_words(parser: argparse.ArgumentParser) -> None:
    """`--config` and what overrides it, and `--plugin`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        action=Once,
        help="a .py, .yaml, .json, .toml or .sdn file; the word --config may be left out. Or a run "
        "directory: its config.yaml, in that directory",
    )
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


def take_config(options: argparse.Namespace, word: str) -> None:
    """Take a word for `--config`; a run directory for its config.yaml, and for `--workdir`.

    Raises:
        ConfigError: it is neither a file nor a run directory, or another one is given already.
    """
    if os.path.isdir(word):
        config = os.path.join(word, "config.yaml")
        if not os.path.isfile(config):
            what = "expected a config file or a run directory, found one without a config.yaml"
            if os.path.isfile(os.path.join(word, "meta.json")):
                run = os.path.dirname(os.path.dirname(os.path.abspath(word)))
                what = f"is a checkpoint; its run directory is {run}"
            raise ConfigError(f"{options.command}: {word}: {what}")
        put_once(options, "config", config)
        put_once(options, "workdir", word)
    elif word.endswith(SUFFIXES) or os.path.exists(word):
        put_once(options, "config", word)
    else:
        raise ConfigError(f"{options.command}: no such file or directory: {word!r}")


def config_of(options: argparse.Namespace, overrides: list[str]) -> ExperimentConfig:
    """The checked config that the words ask for.

    Raises:
        ConfigError: none is named, or it is wrong.
    """
    from jaxtrain.run import make_config

    words = overrides_of(options, overrides)
    return make_config(options.config, words, plugins=options.plugin)


def phased_of(options: argparse.Namespace, overrides: list[str]) -> PhasedConfig | None:
    """The checked config with phases that the words ask for; None where it has none.

    Raises:
        ConfigError: none is named, or it is wrong.
    """
    from jaxtrain.config import load

    words = overrides_of(options, overrides)
    tree = load(options.config)
    if "phases" not in tree:
        if around := [key for key in ("base", "retention") if key in tree]:
            others = [key for key in tree if key not in around]
            near = [key for key in others if did_you_mean(key, ["phases"])]
            meant = f"; is {near[0]!r} meant to be that?" if near else ""
            raise ConfigError(
                f"{options.config}: {' and '.join(around)} belong to a config with phases, and it "
                f"has no section `phases`{meant}"
            )
        return None
    from jaxtrain.phases import PhasedConfig

    return PhasedConfig.of(options.config, words, plugins=options.plugin)


def overrides_of(options: argparse.Namespace, overrides: list[str]) -> list[str]:
    """What is set on the command line, by dotted keys."""
    if options.config is None:
        raise ConfigError(
            f"{options.command}: a config file is missing; for instance configs/digits.py"
        )
    if options.workdir is not None:
        typed_directory(options.workdir, what="--workdir")
        options.workdir = _as_it_stands(options.workdir)
    named = {key: getattr(options, key) for key in ("seed", "device", "workdir")}
    return [*overrides, *(f"{k}={v}" for k, v in named.items() if v is not None)]


def _as_it_stands(workdir: str) -> str:
    """A directory's name that is no value of YAML: `null` and `~` would mean that none is given."""
    if workdir == "~":
        return os.path.expanduser(workdir)
    return f"./{workdir}" if workdir.lower() == "null" else workdir


def task_of(config: ExperimentConfig) -> Task:
    """The task of a config, on the device that it asks for."""
    from jaxtrain.run import RunData, Task, choose_device

    choose_device(config.device)
    return Task.of(RunData.of(config))
