"""Whatever goes wrong is a line and an exit code: through the door, in whole commands."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import json
import os
import re
import tempfile
from pathlib import Path

import pytest

import jaxtrain.main as door
from jaxtrain import errors
from jaxtrain.cli.command import Command
from jaxtrain.cli.failures import exit_code, failure_line
from jaxtrain.config import import_plugin
from jaxtrain.engine import Engine
from jaxtrain.main import main

SMALL = """
project: small
data: {name: digits, batch_size: 160}
model: {name: mlp, hidden: [8]}
train: {epochs: 3}
hooks: {progress: null, console: null}
"""

PLUGIN = """
import sys
from jaxtrain.data import SOURCES
from jaxtrain.engine import Events
from jaxtrain.hooks import HOOKS
from jaxtrain.models import MODELS

@HOOKS.register("tests_failing")
class Failing:
    def __init__(self, *, doing: str = "zero"):
        self.doing = doing

    def attach(self, engine):
        engine.attach_handler(Events.EPOCH_COMPLETED(once=3), self.look)

    def look(self):
        if self.doing == "zero":
            return 1 / 0
        if self.doing == "leave":
            sys.exit(0)
        if self.doing == "file":
            return open("nowhere.txt")
        if self.doing == "full":
            raise OSError(28, "No space left on device", "mine.txt")
        if self.doing == "memory":
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\\n\\nmore")

@MODELS.register("tests_failing")
def model(num_outputs: int, *, returns: bool = False):
    if returns:
        return 3
    raise KeyError("width")

@SOURCES.register("tests_failing")
def source(validation_fraction: float, seed: int, *, root: str = "x"):
    return open(root)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the config and the plugin are; of a plugin that lay elsewhere the names were taken."""
    place = tmp_path_factory.mktemp("place")
    (place / "small.yaml").write_text(SMALL)
    (place / "mine.py").write_text(PLUGIN)
    return place


@pytest.fixture
def small(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    return ["small.yaml", "--plugin", "mine.py", "--workdir", str(tmp_path / "run")]


@pytest.fixture
def said(small, capsys):
    """said(*words): the exit code, and what `train` said on standard error."""

    def call(*words):
        code = main(["train", *small, *words])
        return code, capsys.readouterr().err

    return call


def test_a_hook_that_fails_in_the_middle_is_named_and_the_checkpoint_stands(said, tmp_path, capsys):
    code, told = said("--config.hooks.tests_failing.doing=zero")
    assert code == 1
    assert told.splitlines()[-1] == (
        "plugin mine.py:18: ZeroDivisionError: division by zero (raised by the hook "
        "'tests_failing', at EPOCH_COMPLETED); --traceback shows where it comes from"
    )
    assert "Traceback" not in told
    assert main(["checkpoints", str(tmp_path / "run")]) == 0
    assert "training would go on from 00000018" in capsys.readouterr().out
    assert json.loads((tmp_path / "run/metadata.json").read_text())["status"].startswith("failed")


def test_a_hook_that_leaves_has_not_trained(said):
    """`sys.exit(0)` was exit 0."""
    code, told = said("--config.hooks.tests_failing.doing=leave")
    assert (code, told.splitlines()[-1][:36]) == (1, "plugin mine.py:20: SystemExit: 0; --")


@pytest.mark.parametrize(
    ("doing", "code", "begins"),
    [
        ("file", 1, "plugin mine.py:22: FileNotFoundError: [Errno 2] No such file"),
        ("full", 4, "storage error: [Errno 28] No space left on device: 'mine.txt'"),
        ("memory", 1, "out of memory: RuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating"),
    ],
)
def test_what_a_hook_does_is_told_for_what_it_is(small, doing, code, begins):
    hook = import_plugin("mine.py").Failing(doing=doing)
    engine = Engine(lambda engine, batch: None)
    engine.attach(hook, "mine")
    with pytest.raises((OSError, RuntimeError)) as raised:
        engine.run([0], max_epochs=3)
    # As the door sees it, below which this file is not.
    error = raised.value.with_traceback(raised.value.__traceback__.tb_next)
    assert (exit_code(error), failure_line(error)[: len(begins)]) == (code, begins)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model.name=tests_failing"], "model 'tests_failing': KeyError: 'width' (*mine.py:32)"),
        (
            ["model.name=tests_failing", "model.returns=true"],
            "model 'tests_failing': expected model in *mine.py to return a Model, found a "
            "builtins.int; from_linen(*",
        ),
        (
            ["data.name=tests_failing"],
            "data source 'tests_failing': FileNotFoundError: [[]Errno 2[]] No such file or "
            "directory: 'x' (*mine.py:36)",
        ),
    ],
)
def test_a_component_that_can_not_be_made_is_exit_2(said, tmp_path, words, told):
    """C23: a traceback, without the plugin's name."""
    code, found = said(*(f"--config.{word}" for word in words))
    assert code == 2
    assert fnmatch.fnmatch(found.strip(), f"config error: {told}"), found
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_traceback_is_there_for_those_who_ask(said, monkeypatch, how):
    words = ["--config.model.name=tests_failing"]
    monkeypatch.setenv("JAXTRAIN_TRACEBACK", "0" if how == "option" else "1")
    code, told = said(*words, *(["--traceback"] if how == "option" else []))
    assert code == 2
    assert told.startswith("Traceback (most recent call last)")
    assert "KeyError: 'width'" in told
    assert told.splitlines()[-1].startswith("config error: model 'tests_failing'")
    assert "Traceback" not in said(*words, "--seed", "many")[1] or how == "variable"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit(0)\n", "k.py:2: SystemExit: 0"),
        ("def get_config():\n    exit()\n", "k.py:2: SystemExit"),
        ("def get_config():\n    raise SystemExit\n", "k.py:2: SystemExit"),
    ],
)
def test_a_config_that_leaves_is_exit_2(tmp_path, capsys, text, said):
    """C7: `sys.exit(0)` in a config.py: exit 0, and nothing was trained."""
    path = tmp_path / "k.py"
    path.write_text(text)
    assert main([str(path)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("what", ["k.yaml", "x.csv", "mine.py"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_file_that_may_not_be_read_is_exit_2(capsys, what):
    """C21: it was 4, a fault of the disk."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "mine.py").write_text("")
        (place / "x.csv").write_text("a,b\n1,2\n")
        options = f"root: {place}, train: x.csv, test: x.csv, target: b"
        (place / "k.yaml").write_text(f"data: {{name: csv, {options}}}\n")
        (place / what).chmod(0)
        os.seteuid(65534)
        try:
            words = [str(place / "k.yaml"), "--plugin", str(place / "mine.py")]
            assert main(["plan", *words]) == 2
        finally:
            os.seteuid(0)
    assert re.search(rf"{what}:? can't be read: Permission denied", capsys.readouterr().err)


@pytest.mark.parametrize("words", [["x" * 300 + ".yaml"], ["--plugin", "x" * 300 + ".py", "k.py"]])
def test_a_name_too_long_is_exit_2(tmp_path, monkeypatch, capsys, words):
    """C21."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.py").write_text("def get_config(): return {}")
    for command in ("plan", "train"):
        assert main([command, *words]) == 2
        assert "File name too long" in capsys.readouterr().err
    assert main(["evaluate", "x" * 300]) == 2
    assert main(["checkpoints", "x" * 300]) == 2


@pytest.mark.parametrize(("prints", "lost", "code"), [(True, True, 4), (True, False, 0)])
@pytest.mark.parametrize("found", [0, 1])
def test_what_a_command_is_for_must_arrive(monkeypatch, prints, lost, code, found):
    """A table that a full disk has cut must not be exit 0; the log of a training may be cut."""

    @contextlib.contextmanager
    def unbreakable():
        yield lambda: OSError(errno.ENOSPC, "full") if lost else None

    monkeypatch.setattr(door, "unbreakable", unbreakable)
    for prints_, expected in ((prints, code or found), (False, found)):
        command = Command("x", lambda parser: None, lambda *words: found, prints=prints_)
        monkeypatch.setattr(door, "COMMANDS", {"plan": command})
        assert main(["plan"]) == expected


def test_each_kind_has_its_code():
    assert exit_code(errors.DataNotFoundError("x")) == 2  # an OSError, too
    assert exit_code(errors.NonFiniteError("x")) == 3
    assert exit_code(OSError(errno.ENOTDIR, "x")) == 2
    assert exit_code(OSError(errno.EACCES, "x")) == 4
    assert exit_code(MemoryError()) == 1
    assert exit_code(SystemExit(0)) == 1


def test_what_nobody_foresaw_is_a_line_with_the_place():
    def raised(error):
        try:
            raise error
        except BaseException as caught:
            return caught

    import jaxtrain.registry as module

    try:
        module.Registry("m").register(3)(None).names()
    except AttributeError as error:
        inside = error
    inside.__traceback__ = None
    assert failure_line(inside).startswith("unforeseen error: AttributeError: ")
    assert failure_line(inside).endswith("(nowhere); --traceback shows where it comes from")
    said = failure_line(raised(ValueError("two\nlines")))
    assert "test_failures.py:" in said
    assert "ValueError: two lines" in said
    assert "\n" not in said
    assert failure_line(OSError(errno.ENAMETOOLONG, "too long", "x")).startswith("path error: ")
    assert "reduce data.batch_size" in failure_line(MemoryError())
