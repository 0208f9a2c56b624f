"""Where a config is not the default."""

from __future__ import annotations

from jaxtrain.cli.runs_config import changed, leaves
from jaxtrain.tracking import RunRecord


def record(path, config, **more):
    return RunRecord(path, {"config": config, **more})


CONFIG = {
    "seed": 3,
    "train": {"epochs": 30, "accumulate": 1},
    "model": {"name": "cnn", "hidden": [64]},
}


def test_a_run_says_itself_what_is_changed(tmp_path):
    run = record(tmp_path, CONFIG, changed=["model.hidden", "hooks.console", "seed.x"])
    assert changed(run) == {"model.hidden": [64], "hooks.console": None, "seed.x": None}
    assert changed(record(tmp_path, CONFIG, changed=[])) == {}


def test_one_of_an_older_version_is_compared_with_what_is_known(tmp_path):
    (tmp_path / "config.yaml").touch()
    found = changed(record(tmp_path, CONFIG))
    assert found == {"seed": 3, "train.epochs": 30, "model.name": "cnn", "model.hidden": [64]}


def test_what_a_script_has_given_is_its_own(tmp_path):
    assert changed(record(tmp_path, {"seed": 0, "a": {"b": 1}})) == {"seed": 0, "a.b": 1}


def test_a_config_may_be_as_deep_as_a_file_can_be():
    config: dict = {"x": 1}
    for _ in range(5000):
        config = {"d": config}
    assert list(leaves(config)) == [("d." * 5000 + "x", 1)]
