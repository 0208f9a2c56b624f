"""The words of the command line, without anything that runs."""

from __future__ import annotations

import argparse

import pytest

from jaxtrain.cli import evaluate
from jaxtrain.cli.commands import COMMANDS
from jaxtrain.cli.configured import SUFFIXES, config_of
from jaxtrain.cli.words import parse_words
from jaxtrain.config import SUFFIXES as KNOWN_SUFFIXES
from jaxtrain.errors import ConfigError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with configs, a run and a directory that is none."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml", "notes.txt", "run/config.yaml", "run/checkpoints/8/meta.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "empty").mkdir()
    return tmp_path


def refused(*words):
    with pytest.raises(ConfigError) as raised:
        parse_words(list(words))
    said = str(raised.value)
    assert "\n" not in said
    return said


# -- overrides -----------------------------------------------------------------------------------


def test_overrides_are_taken_out_wherever_they_stand():
    options, overrides = parse_words(
        ["train", "--config.a.b=1", "--config", "x.py", "--config.c", "2", "--seed", "-3"]
    )
    assert (options.command, options.config, options.seed) == ("train", "x.py", "-3")
    assert overrides == ["a.b=1", "c=2"]
    assert parse_words(["train", "--config.a=b=c", "--config.b", "-1"])[1] == ["a=b=c", "b=-1"]


@pytest.mark.parametrize("behind", [[], ["--device", "cpu"], ["--config.b=1"]])
def test_an_override_without_a_value_is_refused(behind):
    said = refused("train", "--config.a", *behind)
    assert said == "--config.a: expected a value; write --config.a=VALUE"


# -- commands ------------------------------------------------------------------------------------


def test_every_command_has_words_and_every_word_a_command(capsys):
    with pytest.raises(SystemExit) as raised:
        parse_words(["--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert "--config.SECTION.KEY=VALUE" in said
    for name in COMMANDS:
        assert f"\n    {name}" in said
        wants_a_run = name in {
            "checkpoints", "report", "watch", "runs show", "runs compare", "runs rm",
        }  # fmt: skip
        words = [*name.split(), *(["run"] if wants_a_run else [])]
        assert parse_words(words)[0].command == name
        with pytest.raises(SystemExit) as raised:
            parse_words([*name.split(), "--help"])
        assert raised.value.code == 0
        assert "--traceback" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "meant"), [("tarin", "train"), ("eval", "evaluate"), ("checkpoint", "checkpoints")]
)
def test_an_unknown_command_says_what_was_meant(word, meant):
    """A word that was neither was given to train: "unrecognized arguments: tarin"."""
    said = refused(word, "--seed", "3")
    assert f"'{word}' is neither a command nor a file; did you mean '{meant}'?" in said


def test_a_command_stands_first(here):
    assert "'plan' is a command, which has to stand first" in refused("--seed", "3", "plan")
    assert refused("train", "a.yaml", "plan").startswith("train: 'plan' is a command")
    (here / "plan").write_text("")  # or a file, which has no business there either
    assert "both 'a.yaml' and 'plan'" in refused("train", "a.yaml", "plan")


# -- a word that is no option --------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["a.yaml"], ["--seed", "3", "a.yaml"], ["a.yaml", "--seed", "3"]]
)
def test_a_config_needs_no_option(here, words):
    """`J k.yaml` was refused: "unrecognized arguments: k.yaml"."""
    assert parse_words(words)[0].command == "train"
    for command in ("train", "plan", "check"):
        options, _ = parse_words([command, *words])
        assert (options.command, options.config) == (command, "a.yaml")


def test_a_config_is_given_once(here):
    assert parse_words(["--config", "a.yaml", "a.yaml"])[0].config == "a.yaml"
    for words in (["--config", "a.yaml", "b.yaml"], ["a.yaml", "b.yaml"], ["run", "a.yaml"]):
        assert "are given as --config; take one away" in refused(*words)
    assert "'a.yaml' and 'b.yaml'" in refused("--config", "a.yaml", "--config", "b.yaml")


def test_what_comes_behind_dashes_is_a_path(here):
    (here / "-x.yaml").write_text("")
    assert parse_words(["plan", "--", "-x.yaml"])[0].config == "./-x.yaml"
    assert "no such file or directory: './--seed'" in refused("plan", "--", "--seed")
    assert "unknown option -x.yaml" in refused("plan", "-x.yaml")


@pytest.mark.parametrize("word", ["nowhere/x", "train.txt/", "x\0"])
def test_a_file_that_is_not_there_says_so(here, word):
    assert f"no such file or directory: {word!r}" in refused("train", word)


def test_a_run_directory_is_its_config_in_that_directory(here):
    options, _ = parse_words(["run"])
    assert (options.command, options.config, options.workdir) == ("train", "run/config.yaml", "run")
    assert parse_words(["plan", "run", "--workdir", "run"])[0].workdir == "run"
    said = refused("train", "run", "--workdir", "elsewhere")
    assert "both 'elsewhere' and 'run' are given as --workdir" in said
    assert "found one without a config.yaml" in refused("train", "empty")
    assert refused("train", "run/checkpoints/8").endswith(f"its run directory is {here / 'run'}")


def test_evaluate_takes_a_run(here):
    """`evaluate RUN` was refused: "unrecognized arguments"."""
    assert parse_words(["evaluate", "run"])[0].checkpoint == "run"
    assert parse_words(["evaluate", "run", "--checkpoint", "run"])[0].checkpoint == "run"
    assert "given as --checkpoint" in refused("evaluate", "run", "empty")
    assert "evaluate: a.yaml is a config; expected a run directory" in refused("evaluate", "a.yaml")
    assert refused("evaluate", "run/config.yaml").endswith(f"such as {here / 'run'}")


def test_a_word_too_many_is_refused():
    assert refused("checkpoints", "run", "another") == "checkpoints: 'another' means nothing here"
    assert "required: WORKDIR" in refused("checkpoints")


def test_the_door_knows_the_suffixes_without_the_libraries():
    assert SUFFIXES == KNOWN_SUFFIXES


# -- options -------------------------------------------------------------------------------------


def test_an_unknown_option_is_a_line(capsys):
    """It was argparse's usage, ten lines of it, and no word of the key."""
    assert refused("--lr", "3") == (
        "train: unknown option --lr; did you mean --config.optimizer.learning_rate=VALUE?"
    )
    assert refused("train", "--conf", "x.py").endswith("did you mean --config?")  # nor abbreviated
    assert "argument --seed: expected one argument" in refused("plan", "--seed")
    assert "argument --resume: invalid choice: 'maybe'" in refused("--resume", "maybe")
    said = capsys.readouterr()
    assert said.out == said.err == ""


# -- what a workdir is ---------------------------------------------------------------------------


def words_of(workdir):
    return argparse.Namespace(
        command="plan", config=None, seed=None, device=None, plugin=[], workdir=workdir
    )


@pytest.mark.parametrize(
    ("workdir", "said"),
    [
        ("", "--workdir: '' can't be a path"),
        ("~nobody-is-called-so/x", "no home directory"),
        ("\udcff", "not valid UTF-8"),
        ("x" * 300, "too long"),
    ],
)
def test_a_workdir_that_can_be_none_is_refused_before_the_config_is_read(workdir, said):
    """C13, C24, C21: '' was the working directory; the others came out as tracebacks or as 4."""
    options = words_of(workdir)
    options.config = "configs/nowhere.py"
    with pytest.raises(ConfigError, match=said):
        config_of(options, [])


@pytest.mark.parametrize(
    ("workdir", "meant"), [("null", "./null"), ("Null", "./Null"), ("~", "HOME"), ("7", "7")]
)
def test_a_workdir_is_what_it_is_called(here, monkeypatch, workdir, meant):
    """`null` and `~` are YAML's words for nothing: they meant that none was given."""
    monkeypatch.setenv("HOME", "HOME")
    options = words_of(workdir)
    options.config = "a.yaml"
    assert config_of(options, []).workdir == meant


def test_evaluate_has_the_words_of_a_config():
    parser = argparse.ArgumentParser()
    evaluate.COMMAND.add_words(parser)
    assert parser.parse_args(["--plugin", "a", "--plugin", "b"]).plugin == ["a", "b"]
