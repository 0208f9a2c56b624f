"""The words of the command line: what they mean, and help where they mean nothing.

options, overrides = parse_words(["train", "--config", "a.py", "--config.train.epochs=5"])
options.command, overrides       # "train", ["train.epochs=5"]
"""

from __future__ import annotations

import argparse

from jaxtrain._version import __version__
from jaxtrain.cli.commands import COMMANDS
from jaxtrain.errors import ConfigError

_EPILOG = """\
Without a command, train. `jaxtrain COMMAND --help` lists the options of one.
--config.SECTION.KEY=VALUE overrides any key of the config, for instance
  jaxtrain --config configs/digits.py --config.train.epochs=5

exit codes: 0 done, 1 a check failed or an unforeseen error, 2 a wrong config,
path or argument, or a run directory that another process has, 3 NaN or broken
data, 4 a full disk, or no checkpoint could be written or read, 75 stopped by a
signal or a time limit and saved: the same command goes on"""


def parse_words(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
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
    parser = _parser()
    options, unknown = parser.parse_known_args(rest)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{_did_you_mean(unknown[0])}")
    return options, overrides


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxtrain",
        description="Train, evaluate and check models from a config file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"jaxtrain {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_words(commands.add_parser(name, help=command.help, allow_abbrev=False))
    return parser


def _did_you_mean(word: str) -> str:
    """The config keys that end like an unknown option."""
    from jaxtrain.config import ExperimentConfig

    wanted = word.lstrip("-").partition("=")[0].replace("-", "_")
    keys = []
    for name, field in ExperimentConfig.model_fields.items():
        section = field.annotation
        inner = getattr(section, "model_fields", {})
        keys += [name] if name == wanted else []
        keys += [f"{name}.{key}" for key in inner if key == wanted]
    if not keys:
        return ""
    return "; did you mean " + " or ".join(f"--config.{key}=VALUE" for key in keys) + "?"
