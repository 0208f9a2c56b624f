"""Calling a command as the door does, without catching what it raises."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.words import parse_words


@pytest.fixture(scope="session")
def call():
    def call(*words: str) -> int:
        options, overrides = parse_words(list(words))
        return COMMANDS[options.command].run(options, overrides)

    return call


@pytest.fixture(scope="session")
def digits():
    """Words that train on the digits, small and quietly."""
    config = str(Path(__file__).parents[2] / "configs/digits.py")
    quiet = ["--config.hooks.progress=null", "--config.hooks.console=null"]
    return ["--config", config, *quiet, "--config.model.hidden=[8]", "--config.train.epochs=1"]
