"""`check`."""

from __future__ import annotations

from jaxtrain.config import dump
from jaxtrain.data import Finding
from jaxtrain.run import RunData
from tests.phases.small import SMALL


def test_the_data_are_read_once(call, digits, capsys, monkeypatch):
    calls, of = [], RunData.of.__func__
    monkeypatch.setattr(
        RunData, "of", classmethod(lambda cls, config: calls.append(1) or of(cls, config))
    )
    words = ["--config.model.dropout=0", "--config.train.accumulate=2"]
    assert call("check", *digits, *words, "--config.hooks.tensorboard=null") == 0
    assert "all checks passed" in capsys.readouterr().out
    assert calls == [1]


def test_of_phases_all_runs_and_all_suites_are_looked_at(call, tmp_path, capsys, monkeypatch):
    seen = []

    def run_checks(data):
        seen.append(data.config.data.name)
        yield Finding("rows", True, str(len(data.train)))

    monkeypatch.setattr("jaxtrain.run.checks.run_checks", run_checks)
    untrained = {"more": {"name": "digits"}, "odd": {"name": "digits", "test_fraction": 0.01}}
    tree = {**SMALL, "joint": True, "retention": {"untrained": untrained}}
    dump(tree, tmp_path / "phased.yaml")
    assert call("check", "--config", str(tmp_path / "phased.yaml")) == 0
    said = capsys.readouterr().out.splitlines()
    assert seen == ["digits", "digits", "mixture", "mixture"]
    for line in ("phase base: ok    rows: 1293", "phase one: ok    rows: 1293"):
        assert line in said
    assert "joint: ok    rows: 2586" in said
    assert any(line.startswith("untrained more: ok    test shapes: ") for line in said)
    assert any(line.startswith("untrained odd: ok    fits the model") for line in said)
    monkeypatch.setattr(
        "jaxtrain.phases.check_suites", lambda phased: [("odd", Finding("rows", False, "bad"))]
    )
    assert call("check", "--config", str(tmp_path / "phased.yaml")) == 1
    assert "untrained odd: FAIL  rows: bad" in capsys.readouterr().out
