"""A member as a run directory."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run import Experiment, make_config
from jaxtrain.sweeps import export_member
from jaxtrain.sweeps.directory import SweepDirectory
from jaxtrain.sweeps.ledger import AskedMember, Row
from tests.sweeps.small import sweep, tree


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    made = sweep(tmp_path_factory.mktemp("sweep") / "s", halving={"first": 2, "factor": 2})
    return made, made.run()


def test_one_that_went_all_the_way_is_the_lone_run(made, tmp_path):
    made, rows = made
    row = next(row for row in rows if row.status == "finished")
    export_member(made, row.member, tmp_path / "member")
    words = [f"{key}={value}" for key, value in row.values.items()]
    config = make_config(tree(*words, "tracking.mode=disabled"))
    alone = Experiment.of(config, tmp_path / "alone").train()
    told = json.loads((tmp_path / "member" / "metrics.json").read_text())
    del told["training_time_seconds"], told["test_confusion_matrix"]
    assert told == {name: alone[name] for name in told}
    assert told["checkpoint_epoch"] == row.best_epoch


def test_one_that_was_cut_goes_on_alone(made, tmp_path):
    made, rows = made
    row = next(row for row in rows if row.status == "cut")
    path = export_member(made, row.member, tmp_path / "member")
    figures = Experiment.of(make_config(path / "config.yaml"), path).train(resume="must")
    words = [f"{key}={value}" for key, value in row.values.items()]
    alone = Experiment.of(make_config(tree(*words)), tmp_path / "alone").train()
    assert figures["final_val_loss"] == alone["final_val_loss"]
    assert figures["test_loss"] == alone["test_loss"]


def test_what_can_not_be_exported(made, tmp_path):
    made, _ = made
    with pytest.raises(ConfigError, match="of a member 9; expected one of 0 to 3"):
        export_member(made, 9, tmp_path / "x")
    export_member(made, 0, tmp_path / "taken")
    with pytest.raises(ConfigError, match="holds a run already"):
        export_member(made, 0, tmp_path / "taken")


def test_of_one_that_failed_at_once_there_is_nothing_to_export(tmp_path):
    made = sweep(tmp_path / "s")
    directory = SweepDirectory(tmp_path / "s")
    directory.path.mkdir()
    directory.append_asked(0, [AskedMember(member=0, values={"seed": 1})])
    row = Row(
        member=0, batch=0, group=0, values={"seed": 1}, status="failed", epochs=1, iterations=3,
        monitor="val/loss", failed_at=3,
    )  # fmt: skip
    directory.append_rows([row])
    with pytest.raises(ConfigError, match=r"member 0 failed in iteration 3, before the end of a"):
        export_member(made, 0, tmp_path / "x")
    assert not (tmp_path / "x").exists()
