"""The words of the commands over runs."""

from __future__ import annotations

import pytest

from jaxtrain.cli.runs_words import root_of
from jaxtrain.cli.words import parse_words
from jaxtrain.errors import ConfigError


def test_commands_of_two_words(capsys):
    options, _ = parse_words(["runs", "list", "--tag", "a", "--tag", "b", "--traceback"])
    assert (options.command, options.tag, options.traceback) == ("runs list", ["a", "b"], True)
    assert parse_words(["runs", "rm", "a", "--yes", "b"])[0].runs == ["a", "b"]
    for words in (["runs", "--help"], ["runs", "list", "--help"]):
        with pytest.raises(SystemExit) as raised:
            parse_words(words)
        assert raised.value.code == 0
    said = capsys.readouterr().out
    assert "usage: jaxtrain runs " in said
    assert "\n    compare " in said
    assert "train" not in said.split("usage: jaxtrain runs list")[0].replace("jaxtrain", "")
    assert '--json prints {"runs": [...]}' in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs"], "runs: expected one of list, show, compare, rm.* behind it, found nothing"),
        (["runs", "lsit"], "found 'lsit'; did you mean 'list'"),
        (["runs", "show"], "runs show: .*required: RUN"),
        (["runs", "list", "x"], "runs list: 'x' means nothing here"),
        (["runs", "list", "--jsno"], "runs list: unknown option --jsno; did you mean --json"),
        (["run", "list"], "did you mean 'runs'"),
        (["train", "runs"], "'runs' is a command, which has to stand first"),
    ],
)
def test_words_that_mean_nothing(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        parse_words(words)


def test_a_directory_called_runs_does_not_hide_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert parse_words(["runs", "list"])[0].command == "runs list"


@pytest.mark.parametrize("command", ["list", "show", "compare", "rm"])
def test_none_has_a_config_and_each_a_root(call, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    runs = [] if command == "list" else ["a"]
    with pytest.raises(ConfigError, match=f"runs {command}: takes no --config, found --config.a=1"):
        call("runs", command, *runs, "--config.a=1")
    with pytest.raises(ConfigError, match="--root: 'nowhere': there is no such directory"):
        call("runs", command, *runs, "--root", "nowhere")


def test_the_usual_root_need_not_be_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(root_of(parse_words(["runs", "list"])[0])) == "runs"
