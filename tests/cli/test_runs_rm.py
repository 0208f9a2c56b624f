"""`runs rm`: what it asks."""

from __future__ import annotations

import sys

import pytest

from jaxtrain.errors import ConfigError
from tests.some_runs import epochs_run


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a1", "a2", "b1"):
        epochs_run(tmp_path / "runs", name, {"loss": [1.0]})
    return tmp_path / "runs"


def there(root):
    return sorted(path.name for path in (root / "birds").iterdir())


@pytest.fixture
def answer(monkeypatch):
    """answer(text): there is a terminal, and somebody at it; what was asked."""

    def answer(text):
        asked = []
        monkeypatch.setattr(type(sys.stdin), "isatty", lambda self: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or text)
        return asked

    return answer


def test_without_a_terminal_it_wants_to_be_told(root, call):
    with pytest.raises(ConfigError, match="no terminal to ask at; --yes"):
        call("runs", "rm", "a1")
    assert there(root) == ["a1", "a2", "b1"]


def test_it_removes_what_is_named_and_says_so(root, call, capsys):
    assert call("runs", "rm", "a1", "--yes", "birds/b") == 0
    assert capsys.readouterr().out == "removed runs/birds/a1\nremoved runs/birds/b1\n"
    assert there(root) == ["a2"]


@pytest.mark.parametrize("text", ["y", " YES "])
def test_it_asks(root, call, answer, capsys, text):
    asked = answer(text)
    assert call("runs", "rm", "a1") == 0
    assert asked == ["remove this run? [y/N] "]
    said = capsys.readouterr().out
    assert said.startswith("runs/birds/a1: completed, 3 files, ")
    assert there(root) == ["a2", "b1"]


@pytest.mark.parametrize("text", ["", "n", "yesterday"])
def test_everything_else_is_no(root, call, answer, capsys, text):
    asked = answer(text)
    assert call("runs", "rm", "a1", "a2", str(root / "birds/a1")) == 0
    assert asked == ["remove these 2 runs? [y/N] "]
    assert capsys.readouterr().out.endswith("nothing was removed\n")
    assert there(root) == ["a1", "a2", "b1"]


@pytest.mark.parametrize("second", ["a", "nothing", "a2"])
def test_all_are_looked_at_before_the_first_is_removed(root, call, second):
    (root / "birds/a2/notes.txt").touch()
    with pytest.raises(ConfigError):
        call("runs", "rm", "b1", second, "--yes")
    assert there(root) == ["a1", "a2", "b1"]


def test_a_torn_one_is_removed_by_its_name(root, call):
    (root / "birds/a1/metadata.json").write_text("{")
    assert call("runs", "rm", "a1", "--yes") == 0
    assert there(root) == ["a2", "b1"]
