"""The words of the command line, without anything that runs."""

from __future__ import annotations

import pytest

from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.words import parse_words
from jaxtrain.errors import ConfigError


def test_overrides_are_taken_out_wherever_they_stand():
    options, overrides = parse_words(
        ["train", "--config.a.b=1", "--config", "x.py", "--config.c", "2", "--seed", "3"]
    )
    assert (options.command, options.config, options.seed) == ("train", "x.py", "3")
    assert overrides == ["a.b=1", "c=2"]
    assert parse_words(["train", "--config.a=b=c"])[1] == ["a=b=c"]


def test_an_override_without_a_value_is_refused():
    with pytest.raises(ConfigError, match=r"--config\.a: expected a value; write --config\.a=V"):
        parse_words(["train", "--config.a"])


def test_every_command_has_words_and_every_word_a_command(capsys):
    with pytest.raises(SystemExit):
        parse_words(["--help"])
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n    {name}" in said
        words = [name, "run"] if name == "checkpoints" else [name]
        assert parse_words(words)[0].command == name
    with pytest.raises(SystemExit):
        parse_words(["tarin"])


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--learning_rate=1", "--config.optimizer.learning_rate=VALUE"),
        ("--batch-size", "--config.data.batch_size=VALUE"),
        ("--project=x", "--config.project=VALUE"),
    ],
)
def test_an_option_that_is_a_key_is_told_how_to_be_written(capsys, word, meant):
    with pytest.raises(SystemExit) as raised:
        parse_words(["train", word])
    assert raised.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_an_abbreviation_is_no_option():
    with pytest.raises(SystemExit):
        parse_words(["train", "--conf", "x.py"])
