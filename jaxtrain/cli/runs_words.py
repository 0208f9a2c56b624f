"""What the commands over runs have in common: their words.

add_run_words(parser, several=True)       # RUN [RUN ...], --root
add_json_word(parser)
root = root_of(options)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from jaxtrain.errors import ConfigError
from jaxtrain.files.paths import typed_path

ROOT = "runs"

NAMES = "a path, an id, the beginning of an id, either behind PROJECT/, or latest: the newest"


def add_root_word(parser: argparse.ArgumentParser) -> None:
    """`--root`."""
    parser.add_argument(
        "--root", metavar="DIR", help=f"where to look for runs, by default {ROOT} in this directory"
    )


def add_run_words(parser: argparse.ArgumentParser, *, several: bool) -> None:
    """`RUN`, or several of them, and `--root`."""
    count = "+" if several else 1
    parser.add_argument("runs", nargs=count, metavar="RUN", help=NAMES)
    add_root_word(parser)


def take_run(options: argparse.Namespace, word: str) -> None:
    """Take a word for one more run: one that stands behind an option."""
    options.runs.append(word)


def add_json_word(parser: argparse.ArgumentParser, keys: str) -> None:
    """`--json`, and below the options what it prints.

    Args:
        parser: of the command.
        keys: those of the document.
    """
    parser.epilog = keys
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--json", action="store_true", help="one JSON document, for programs, and nothing else"
    )


def root_of(options: argparse.Namespace) -> Path:
    """Where to look; `runs` need not be there.

    Raises:
        ConfigError: the one that was named is not.
    """
    if options.root is None:
        return Path(ROOT)
    root = typed_path(options.root, what="--root")
    if not root.is_dir():
        raise ConfigError(f"--root: {options.root!r}: there is no such directory")
    return root


def refuse_overrides(options: argparse.Namespace, overrides: list[str]) -> None:
    """These commands have no config.

    Raises:
        ConfigError: one is overridden.
    """
    if overrides:
        raise ConfigError(f"{options.command}: takes no --config, found --config.{overrides[0]}")
