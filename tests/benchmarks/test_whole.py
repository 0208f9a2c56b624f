"""Whole runs to an accuracy, over images that a line tells apart: a second or two each."""

from __future__ import annotations

import dataclasses
import gzip
import json
import struct
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import whole
from benchmarks.runs import SETTINGS
from benchmarks.runs.stages import Clocks
from benchmarks.runs.with_jaxtrain import config_of
from jaxtrain.data import SOURCES
from jaxtrain.run import make_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten bright stripes, one a class, in the four files of MNIST."""
    place = tmp_path_factory.mktemp("mnist")
    random = np.random.default_rng(0)
    for name, rows in (("train", 640), ("t10k", 100)):
        labels = np.arange(rows, dtype=np.uint8) % 10
        pixels = random.integers(0, 60, (rows, 28, 28), np.uint8)
        for row, label in enumerate(labels):
            pixels[row, 2 * label : 2 * label + 2] = 250
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            with gzip.open(place / f"{name}-{kind}-ubyte.gz", "wb", 1) as stream:
                stream.write(header + array.tobytes())
    return place


@pytest.mark.slow
def test_a_record_of_ours_with_its_stages(data, tmp_path, capsys):
    path = tmp_path / "new" / "whole.json"
    words = ["--models", "mlp", "--frameworks", "jaxtrain", "--rounds", "1", "--target", "0.9"]
    assert command.main(["whole", *words, "--data", str(data), "--out", str(path)]) == 0
    said = capsys.readouterr().out
    record = json.loads(path.read_text())["mlp"]
    (run,) = record["runs"]["jaxtrain"]
    assert run["accuracy"] >= 0.9
    assert 1 <= run["epochs"] < SETTINGS["mlp"].most_epochs
    assert f"{run['epochs']} epochs" in said
    stages = record["stages"]["jaxtrain"]
    names = {"imports", "data", "compilation", "steps", "validation", "saves", "pictures"}
    assert names <= {name for name, seconds in stages.items() if seconds > 0}
    assert str(tmp_path) not in path.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("model", SETTINGS)
@pytest.mark.parametrize("framework", whole.SCRIPTS)
def test_a_peer_ends_at_the_accuracy(data, tmp_path, framework, model):
    for needed in whole.SCRIPTS[framework][1]:
        if find_spec(needed) is None:  # to import it here would warn, and choose a backend
            pytest.skip(f"the peers extra installs {needed}")
    setting = dataclasses.replace(SETTINGS[model], target=0.9)
    run = whole.one_run(framework, setting, 1, data, tmp_path, cache=tmp_path / "cache")
    assert run["accuracy"] >= 0.9
    assert 1 <= run["epochs"] < setting.most_epochs
    kept = [path.name for path in (tmp_path / framework).rglob("*") if path.is_file()]
    assert any("best" in name or "epoch=" in name or "accuracy" in name for name in kept)
    assert any(name.endswith(".csv") for name in kept)


def test_what_a_config_of_ours_says_is_known(data, monkeypatch):
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))
    for model, setting in SETTINGS.items():
        plugin = ["benchmarks/runs/source.py"]
        config = make_config(config_of(setting, data), plugins=plugin)
        assert (config.model.name, config.hooks["early_stopping"].target) == (
            model,
            setting.target,
        )


def test_who_fails_is_shown():
    words = [sys.executable, "-c", "import sys; print('said', sys.stdout.isatty()); sys.exit(3)"]
    with pytest.raises(whole.RunFailed, match="ended with 3\nsaid True"):
        whole.on_a_terminal(words, {})


def test_a_peer_that_is_not_there_is_left_out(data, monkeypatch):
    monkeypatch.setattr(whole, "find_spec", lambda name: None)
    found = list(whole.measure(SETTINGS["mlp"], data, frameworks=["keras"], rounds=1))
    assert found[-1]["runs"] == {}
    assert found[-1]["left_out"] == {"keras": "not installed: keras (the extra 'peers' has them)"}


def test_a_table_says_who_did_not_get_there():
    runs = {
        "jaxtrain": [{"seconds": 2.0, "processor": 3.0, "epochs": 3, "accuracy": 0.9}],
        "keras": [{"seconds": 3.0, "processor": 4.0, "epochs": 30, "accuracy": 0.8}],
    }
    record = {"sizes": {"target": 0.9}, "runs": runs, "left_out": {}}
    lines = whole.table("mlp", record | {"ratios": whole.ratios(runs)})
    assert lines[1].split() == ["jaxtrain", "2.0", "s", "3.0", "s", "3", "epochs"]
    assert "(1.50×)" in lines[2]
    assert lines[2].endswith("30 epochs; 1 of 1 did not get there")


def test_clocks_leave_out_what_is_within(monkeypatch):
    now = iter([0.0, 1.0, 4.0, 4.5, 6.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clocks = Clocks()
    with clocks.part("all"):
        with clocks.part("validation"), clocks.part("steps"):  # an evaluation's steps are its own
            clocks.within(2.0)
            clocks.add("compilation", 2.0)
        with clocks.part("saves"):
            pass
    assert clocks.seconds == {"compilation": 2.0, "validation": 1.0, "saves": 1.5, "all": 5.5}
