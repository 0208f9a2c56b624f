"""Two that write one file."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.hooks import HOOKS
from jaxtrain.run import Experiment, make_config
from jaxtrain.run.writers import OWN_FILES, refuse_two_writers


@pytest.mark.parametrize("name", ["csv", "jsonl", "tensorboard"])
def test_two_hooks_that_write_the_same_file_are_refused_before_anything_is_made(name):
    """C8: the last row of metrics.csv stood there twice."""
    with pytest.raises(ConfigError, match=rf"^hooks\.again: writes \S+, which hooks\.{name}"):
        make_config({"hooks": {name: {}, "again": {"name": name}}})
    make_config({"hooks": {name: None, "again": {"name": name}}})
    make_config({"hooks": {"console": {}, "again": {"name": "console"}}})


@pytest.fixture
def own_hook(monkeypatch):
    """A hook of a plugin, whose option says what it writes."""
    monkeypatch.setattr(HOOKS, "_factories", dict(HOOKS._factories))

    @HOOKS.register("tests_log")
    class Log:
        def __init__(self, *, file: str = "log.txt"):
            self.file = file

        @property
        def writes(self):
            return self.file

        def attach(self, engine):
            pass


def test_a_hook_whose_option_says_it_is_asked_once_it_is_made(own_hook, tmp_path):
    def made(**files):
        hooks = {name: {"name": "tests_log", "file": file} for name, file in files.items()}
        return Experiment.of(make_config({"hooks": hooks}), tmp_path)

    made(one="a.txt", two="b.txt")
    with pytest.raises(ConfigError, match=r"^hooks\.two: writes a\.txt, which hooks\.one writes"):
        made(one="a.txt", two="a.txt")
    with pytest.raises(ConfigError, match=r"writes metrics\.csv, which hooks\.csv writes"):
        made(one="metrics.csv")
    with pytest.raises(ConfigError, match=r"writes config\.yaml, which the run itself writes"):
        made(one="config.yaml")


def test_the_runs_own_files_are_those_that_it_writes(tmp_path):
    config = make_config({"train": {"epochs": 1}, "model": {"hidden": [4]}})
    Experiment.of(config, tmp_path / "run").train()
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {*OWN_FILES, "metrics.csv", "metrics.jsonl"}


def test_names_come_as_text_or_as_several():
    class One:
        writes = "a"

    class Two:
        writes = ("b", "a")

    refuse_two_writers({"one": One(), "three": object()})
    with pytest.raises(ConfigError, match=r"hooks\.two: writes a, which hooks\.one"):
        refuse_two_writers({"one": One(), "two": Two})
