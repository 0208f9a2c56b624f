"""The words of the command line: what they mean, and help where they mean nothing.

options, overrides = parse_words(["configs/digits.py", "--config.train.epochs=5"])
options.command, options.config, overrides    # "train", "configs/digits.py", ["train.epochs=5"]
"""

from __future__ import annotations

import argparse
import os
from typing import NoReturn

from jaxtrain._version import __version__
from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.configured import SUFFIXES
from jaxtrain.cli.meant import options_meant
from jaxtrain.errors import ConfigError, did_you_mean

_EPILOG = """\
Without a command, train. `jaxtrain COMMAND --help` lists the options of one.
--config.SECTION.KEY=VALUE overrides any key of the config, for instance
  jaxtrain configs/digits.py --config.train.epochs=5

exit codes: 0 done, 1 a check failed or an unforeseen error, 2 a wrong config,
path or argument, or a run directory that another process has, 3 NaN or broken
data, 4 a full disk, or no checkpoint could be written or read, 75 stopped by a
signal or a time limit and saved: the same command goes on"""

_PREFIX = "--config."
OF_NO_COMMAND = ("-h", "--help", "--version")
_GROUPS = {name.partition(" ")[0] for name in COMMANDS if " " in name}


def parse_words(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the `dotted.key=value` items of all `--config.dotted.key=value`.

    Raises:
        ConfigError: a word that means nothing, and what it may have been meant to be.
        SystemExit: of `--help` and `--version`, once they have printed.
    """
    if words and words[0] in OF_NO_COMMAND:
        _overview().parse_args(words[:1])
    command, words = _command(words)
    rest: list[str] = []
    if COMMANDS[command].hands_on and "--" in words:
        at = words.index("--")
        words, rest = words[:at], words[at + 1 :]
    words, behind = _behind_dashes(words)
    overrides, words = _overrides(words)
    parser = _parser_of(command)
    options, left = parser.parse_known_args([*words, *behind], argparse.Namespace(command=command))
    options.rest = rest
    for word in left:
        if word.startswith("-"):
            known = parser._option_string_actions
            raise ConfigError(f"{command}: unknown option {word}{options_meant(word, known)}")
    for word in left:
        if word in (*COMMANDS, *_GROUPS) and not os.path.exists(word):
            raise ConfigError(f"{command}: {word!r} is a command, which has to stand first")
        COMMANDS[command].take(options, word)
    return options, overrides


def _command(words: list[str]) -> tuple[str, list[str]]:
    """The command, and the words behind it: `train` where the first word is an option or a path."""
    if not words or words[0].startswith("-"):
        return "train", words
    first = words[0]
    if first in COMMANDS:
        return first, words[1:]
    if first in _GROUPS:
        return _command_of(first, words)
    if first.endswith(SUFFIXES) or os.sep in first or os.path.exists(first):
        return "train", words
    raise ConfigError(
        f"{first!r} is neither a command nor a file{did_you_mean(first, [*COMMANDS, *_GROUPS])} "
        f"(commands: {', '.join(COMMANDS)}; without one, a config file to train)"
    )


def _command_of(group: str, words: list[str]) -> tuple[str, list[str]]:
    """Of commands with two words, such as `runs list`."""
    seconds = [name.partition(" ")[2] for name in COMMANDS if name.startswith(f"{group} ")]
    second = words[1] if len(words) > 1 else None
    if second in ("-h", "--help"):
        _overview(group).parse_args(words[1:2])
    if second not in seconds:
        found = "nothing" if second is None else repr(second)
        raise ConfigError(
            f"{group}: expected one of {', '.join(seconds)} behind it, found {found}"
            f"{did_you_mean(second or '', seconds)}"
        )
    return f"{group} {second}", words[2:]


def _behind_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before and behind `--`; behind it a word is a path, whatever it begins with."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], [f"./{w}" if w.startswith("-") else w for w in words[at + 1 :]]


def _overrides(words: list[str]) -> tuple[list[str], list[str]]:
    """The overrides, and the words that are none."""
    overrides: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if not word.startswith(_PREFIX):
            rest.append(word)
        elif "=" in word:
            overrides.append(word.removeprefix(_PREFIX))
        else:
            value = next(waiting, None)
            if value is None or value.startswith("--"):
                raise ConfigError(f"{word}: expected a value; write {word}=VALUE")
            overrides.append(f"{word.removeprefix(_PREFIX)}={value}")
    return overrides, rest


class _Parser(argparse.ArgumentParser):
    """One that raises where it would print its usage and end the process."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog.removeprefix('jaxtrain ')}: {message}")


def _parser_of(command: str) -> _Parser:
    parser = _Parser(
        prog=f"jaxtrain {command}", description=COMMANDS[command].help, allow_abbrev=False
    )
    COMMANDS[command].add_words(parser)
    parser.add_argument(
        "--traceback", action="store_true", help="where it fails, show where the error comes from"
    )
    return parser


def _overview(group: str = "") -> _Parser:
    parser = _Parser(
        prog=f"jaxtrain {group}".rstrip(),
        description=None if group else "Train, evaluate and check models from a config file.",
        epilog=None if group else _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not group:
        parser.add_argument("--version", action="version", version=f"jaxtrain {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        if name.startswith(f"{group} ".lstrip()):
            commands.add_parser(name.removeprefix(f"{group} ".lstrip()), help=command.help)
    return parser
