"""A command: its words, and what it does.

    COMMAND = Command("say what a run will do", add_words, run)

Each module of this room that is named after a command has one. None of them imports anything heavy
before `run` is called: `train` must heed a Ctrl-C that comes while the libraries are read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from jaxtrain.errors import ConfigError

Run = Callable[[argparse.Namespace, list[str]], int]
"""From options and overrides (`dotted.key=value` each) to an exit code."""

Take = Callable[[argparse.Namespace, str], None]
"""Puts a word that is no option where it belongs; ConfigError where it can mean nothing."""


def takes_none(options: argparse.Namespace, word: str) -> None:
    """Refuse a word.

    Raises:
        ConfigError: naming it.
    """
    raise ConfigError(f"{options.command}: {word!r} means nothing here")


@dataclass(frozen=True)
class Command:
    """One of the words that may stand first.

    Args:
        help: what it does, in a line.
        add_words: adds its options to a parser.
        run: does it.
        take: what becomes of each word that is no option and that `add_words` has no place for.
        prints: whether what it prints is what it is for: a full disk under that is a failure then,
            and exit 4. A training is for other things, and goes on.
        trains: whether it works for long, with much memory.
        hands_on: whether the words behind `--` are another command's. They are then, as they are,
            `options.rest`.
    """

    help: str
    add_words: Callable[[argparse.ArgumentParser], None]
    run: Run
    take: Take = takes_none
    prints: bool = True
    trains: bool = False
    hands_on: bool = False
