"""`evaluate`: figures as JSON, whatever somebody did to the files; what differs is said."""

from __future__ import annotations

import json
import logging

import pytest

from jaxtrain.errors import ConfigError


@pytest.fixture(scope="module")
def run(call, digits, tmp_path_factory):
    """A finished run of the digits."""
    workdir = tmp_path_factory.mktemp("evaluate") / "run"
    assert call("train", *digits, "--workdir", str(workdir)) == 0
    return workdir


def test_the_figures_of_every_set(call, run, capsys):
    assert call("evaluate", "--checkpoint", str(run)) == 0
    said = json.loads(capsys.readouterr().out)
    figures = json.loads((run / "metrics.json").read_text())
    assert said["test"]["accuracy"] == figures["test_accuracy"]
    assert set(said) == {"checkpoint", "train", "validation", "test"}


def test_config_yaml_decides_nothing(call, run, capsys, tmp_path):
    """C4's brother: an edited config.yaml gave other figures."""
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("split_seed: 0", "split_seed: 7"))
    try:
        assert call("evaluate", "--checkpoint", str(run)) == 0
    finally:
        (run / "config.yaml").write_text(text)
    said = json.loads(capsys.readouterr().out)
    assert (
        said["test"]["accuracy"] == json.loads((run / "metrics.json").read_text())["test_accuracy"]
    )


def test_what_differs_is_said_and_stands_in_the_json(call, run, capsys, caplog, monkeypatch):
    from jaxtrain.run import Trained

    sets = Trained.sets
    monkeypatch.setattr(Trained, "sets", lambda self: (sets(self)[0], ["the test set is another"]))
    with caplog.at_level(logging.WARNING):
        assert call("evaluate", "--checkpoint", str(run)) == 0
    assert json.loads(capsys.readouterr().out)["differs"] == ["the test set is another"]
    assert "not what the run was made with: the test set is another" in caplog.text


def test_a_figure_of_nothing_is_null(call, run, capsys, monkeypatch):
    """C12: NaN is no JSON."""
    from jaxtrain.run import Trained

    monkeypatch.setattr(Trained, "evaluate", lambda self, rows: {"r2": float("nan"), "n": 1})
    assert call("evaluate", "--checkpoint", str(run)) == 0
    out = capsys.readouterr().out
    assert json.loads(out, parse_constant=pytest.fail)["test"] == {"r2": None, "n": 1}


def test_a_checkpoint_is_wanted(call, tmp_path):
    with pytest.raises(ConfigError, match="evaluate: --checkpoint is missing"):
        call("evaluate")
    with pytest.raises(ConfigError, match="found nothing there"):
        call("evaluate", "--checkpoint", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="found neither"):
        call("evaluate", "--checkpoint", str(tmp_path))
