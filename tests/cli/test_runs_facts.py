"""What a run has to say, whatever its files hold."""

from __future__ import annotations

import json

import pytest

from jaxtrain.cli.runs_facts import Facts, number, print_json
from jaxtrain.hooks.console import figure
from jaxtrain.tracking import RunRecord
from tests.some_runs import epochs_run

CURVES = {"train/loss": [0.9, 0.5, 0.4], "val/loss": [0.8, 0.3, 0.6], "val/f1": [0.1, 0.7, 0.7]}


def facts(root, curves=CURVES, **config):
    return Facts(RunRecord.read(epochs_run(root, "a", curves, config=config)))


def test_the_best_of_the_monitor(tmp_path):
    run = facts(tmp_path, train={"epochs": 9})
    assert (run.monitor, run.epochs, run.planned, run.steps) == ("val/loss", 3, 9, 30)
    assert (run.monitored.best, run.monitored.last, run.monitored.steps[run.monitored.at]) == (
        0.3,
        0.6,
        20,
    )


def test_the_config_says_what_is_monitored_and_which_way(tmp_path):
    run = facts(tmp_path, checkpoint={"monitor": "val/f1", "mode": "auto"})
    assert (run.monitor, run.monitored.best, run.monitored.at) == ("val/f1", 0.7, 1)
    other = facts(tmp_path / "x", checkpoint={"monitor": "val/f1", "mode": "min"})
    assert (other.monitored.best, other.as_json()["direction"]) == (0.1, "min")
    assert other.curve("val/loss").best == 0.3
    odd = facts(tmp_path / "y", checkpoint={"monitor": "val/loss", "mode": "max"})
    assert (odd.monitored.best, odd.curve("train/loss").best) == (0.8, 0.4)
    report = other.record.path / "metrics.json"
    report.write_text('{"monitor": "train/loss"}')
    assert Facts(RunRecord.read(other.record.path)).monitor == "train/loss"


def test_where_nobody_says_it_is_a_loss_or_what_there_is(tmp_path):
    assert facts(tmp_path / "1", {"a": [1.0], "loss": [2.0]}).monitor == "loss"
    assert facts(tmp_path / "2", {"a": [1.0], "b": [2.0]}).monitor == "a"
    none = facts(tmp_path / "3", {}, checkpoint={"monitor": "val/f1"})
    assert (none.monitor, none.monitored) == ("val/f1", None)
    assert facts(tmp_path / "4", {}).monitor is None


def test_what_is_not_finite_is_no_value(tmp_path):
    run = facts(tmp_path, {"val/loss": [None, 0.5], "x": [None, None]})
    row = f'{{"event": "epoch", "epoch": 3, "iteration": 30, "val/loss": 1e999, "y": {10**400}}}\n'
    with (run.record.path / "metrics.jsonl").open("a") as file:
        file.write(row)
    run = Facts(RunRecord.read(run.record.path))
    assert run.curve("val/loss").values == [0.5]
    assert run.curve("x") is run.curve("y") is None
    assert run.figures == {}
    assert run.steps == 30


def test_scalars_of_steps_are_neither_better_nor_worse(tmp_path):
    run = facts(tmp_path)
    with (run.record.path / "metrics.jsonl").open("a") as file:
        file.write('{"event": "iteration", "epoch": 1, "iteration": 5, "loss": 1.0}\n')
        file.write('{"event": "log", "epoch": 0, "iteration": 0, "step": 77, "mine": 1.0}\n')
    run = Facts(RunRecord.read(run.record.path))
    assert run.metrics == [*CURVES, "mine"]
    assert run.steps == 77


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"status": ["x"], "time": 3, "tags": {"a": 1}, "config": []},
        {"status": "completed", "time": "0001-01-01T00:00:00", "config": {"checkpoint": 1}},
        {"status": "\ud800", "config": {"train": {"epochs": "x"}, "checkpoint": {"monitor": 1}}},
        {"config": {"x": float("nan")}, "changed": [1, "x"], "project": 3},
    ],
)
def test_any_metadata_becomes_json(tmp_path, metadata, capsys):
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    run = Facts(RunRecord.read(tmp_path))
    print_json(run.as_json())
    said = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (said["epochs"], said["planned_epochs"], said["best"]) == (0, None, None)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.96123, 0.001, 0.0009, 3e-7, 9999.9, 12345.6, 2e9])
def test_numbers_are_those_of_the_console(value):
    assert number(value) == figure(value)
    assert number(-value) == figure(-value)
