"""The benchmark of the catalogue, in tiny sizes: what it compares is the same."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__ as command
from benchmarks import models
from benchmarks.catalogue import CASES, FRAMEWORKS, training
from benchmarks.processes import ProcessFailed


@pytest.fixture
def alone(monkeypatch, here):
    """All processes are this one."""
    monkeypatch.setattr(models, "OwnProcess", here)


def test_the_record_without_peers(alone, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    path = tmp_path / "new" / "models.json"
    words = ["--parts", "lstm", "--tiny", "--rounds", "2", "--seconds", "0", "--out", str(path)]
    assert command.main(["models", *words]) == 0
    assert "jaxtrain, bare step" in capsys.readouterr().out
    record = json.loads(path.read_text())["lstm"]
    assert str(tmp_path) not in path.read_text()
    assert len(record["rows"]["per_second"]["jaxtrain, bare step"]["rounds"]) == 2
    assert record["left_out"].keys() == FRAMEWORKS.keys() - {"jaxtrain, bare step"}
    assert record["sizes"]["row"] == [4, 3]


@pytest.mark.parametrize("name", CASES)
def test_the_peers_models_are_as_large_and_learn(name):
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    case = CASES[name].tiny()
    ours, theirs = (training(of, case) for of in ("jaxtrain, bare step", "PyTorch, eager"))
    assert ours.parameters() == theirs.parameters()
    for each in (ours, theirs):
        first, *_, last = each.first_losses(4)
        assert last < first
        assert each.round(1)["clock"] > 0
    threads = theirs.settle()["threads"]
    assert threads >= 1


class Made:
    """A training of which only the figures exist."""

    def __init__(self, size=5, losses=(2.0, 1.0)):
        self.size, self.losses = size, losses

    def parameters(self):
        return self.size

    def first_losses(self, number):
        return list(self.losses)

    def settle(self):
        return {}

    def round(self, steps):
        return {"clock": 4.0, "processor": 2.0}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (Made(size=6), "cnn: models of different sizes: .*'PyTorch, eager': 6"),
        (Made(losses=(1.0, 1.0)), r"cnn: \['PyTorch, eager'\] learn nothing"),
        (Made(losses=(1.0, float("nan"))), "learn nothing"),
    ],
)
def test_what_does_something_else_is_not_timed(alone, monkeypatch, odd, words):
    monkeypatch.setattr(
        models, "training", lambda name, case: odd if name == "PyTorch, eager" else Made()
    )
    with pytest.raises(SystemExit, match=words):
        list(models.measure(CASES["cnn"], rounds=1, seconds=0))


def test_a_compiler_may_be_missing_but_nothing_else(alone, monkeypatch):
    def make(broken):
        def made(name, case):
            if name == broken:
                raise ProcessFailed("long", "no compiler")
            return Made()

        monkeypatch.setattr(models, "training", made)
        return list(models.measure(CASES["cnn"], rounds=2, seconds=0))

    first, record = make("PyTorch, compiled")
    assert len(first["rows"]["per_second"]["PyTorch, eager"]["rounds"]) == 1
    assert record["left_out"] == {"PyTorch, compiled": "no compiler"}
    assert record["rows"]["times_as_fast"]["jaxtrain, bare step"].keys() == {"PyTorch, eager"}
    with pytest.raises(ProcessFailed):
        make("PyTorch, eager")
