"""`list`."""

from __future__ import annotations

import sys

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run import REGISTRIES


@pytest.fixture
def listed(call, capsys, monkeypatch):
    """listed(*words): what it prints, to a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def listed(*words):
        assert call("list", *words) == 0
        return capsys.readouterr().out

    return listed


def test_every_component_has_a_line(listed):
    said = listed()
    for registry in REGISTRIES.values():
        for name in registry.names():
            assert f"\n {name} " in said
    assert said.startswith("models\n")
    assert "\n\ndata\n" in said
    assert "[B, ...]" in said  # no markup


@pytest.mark.parametrize("kind", ["models", "optimizer", "schedules", "loss", "metrics", "hooks"])
def test_it_can_be_read_at_80_columns_in_a_pipe(listed, kind):
    lines = listed(kind).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    assert not any("\x1b" in line or "─" in line for line in lines)


def test_the_options_of_a_kind(listed):
    said = listed("optimizers")
    assert "\n momentum      a number of at least 0 and below 1  default 0\n" in said
    assert said.split("each of them:\n")[1].split()[0] == "learning_rate"
    assert "\n limit  a number  required\n" in listed("hooks")


def test_one_whole(listed):
    said = listed("data", "csv")
    assert said.startswith("csv: ")
    assert "target" in said
    assert "; required\n" in said
    assert said.endswith("in a config: the section data; from jaxtrain.data.tables.csv_source\n")
    assert "the section hooks.jsonl" in listed("hooks", "jsonl")
    assert "torn by the kill" in listed("hooks", "jsonl")  # all of what it says of itself


def test_components_of_a_plugin_come_with_its_file(listed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registry = REGISTRIES["model"]
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    (tmp_path / "own_models.py").write_text(
        "from jaxtrain.models import MODELS\n"
        "@MODELS.register('tests_listed')\n"
        "def wide(num_outputs: int, *, width: int = 3):\n"
        '    """A wide one.\n\n    Args:\n        width: how wide [B].\n    """\n'
    )
    assert "A wide one. [own_models.py]" in listed("--plugin", "own_models.py")
    said = listed("models", "tests_listed", "--plugin", "own_models.py")
    assert "how wide [B].\n" in said
    assert said.endswith("from own_models.py\n")


def test_a_terminal_gets_its_width_and_lines(listed, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, listed("models").splitlines())) <= 60
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm")
    assert "momentum" in listed("optimizers")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["modles"], "did you mean 'models'"),
        (["models", "mpl"], "did you mean 'mlp'"),
        (["--config.seed=1"], "takes no --config"),
    ],
)
def test_what_is_not_there_says_what_was_meant(call, words, said):
    with pytest.raises(ConfigError, match=said):
        call("list", *words)
