"""What a person reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxtrain import errors
from jaxtrain.checkpoint import Found, Saved
from jaxtrain.cli.printing import checkpoint_line, error_line, finding_line, introduction, outcome
from jaxtrain.data import Finding
from jaxtrain.run import Experiment, make_config


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        (errors.ConfigError, "config error"),
        (errors.UnknownNameError, "config error"),
        (errors.DataError, "data error"),
        (errors.NonFiniteError, "not finite"),
        (errors.CheckpointMismatchError, "checkpoint error"),
        (errors.WorkerError, "error"),
    ],
)
def test_an_error_has_its_heading(kind, heading):
    assert error_line(kind("so it is")) == f"{heading}: so it is"


def test_an_interruption_says_what_to_type():
    said = error_line(errors.Preempted("stopped after iteration 3"))
    assert said.splitlines() == [
        "interrupted: stopped after iteration 3",
        "run the same command again to go on",
    ]


def test_a_run_is_introduced_by_place_data_model_and_what_is_not_default(tmp_path):
    config = make_config({"train": {"epochs": 3}, "model": {"hidden": [7] * 40}})
    said = introduction(Experiment.of(config, tmp_path)).splitlines()
    assert said[0] == f"run: {tmp_path}"
    assert said[1] == "data: digits, 1,293 train, 144 validation, 360 test rows"
    assert said[2].startswith("model: mlp, ")
    # A long value is cut.
    assert said[3].startswith("differs from the defaults: model.hidden=(7, 7, ")
    assert said[3].endswith("..., train.epochs=3")


def test_the_outcome_names_the_test_figures_and_the_files():
    figures = {"test_loss": 0.25, "final": 1, "test_accuracy": 1.0}
    said = outcome({**figures, "checkpoint_epoch": 2, "monitor": "val/loss"}, Path("runs/a"))
    assert said.splitlines() == [
        "test: loss 0.2500, accuracy 1.0000 (epoch 2, best by val/loss)",
        "report: runs/a/report.html, runs/a/metrics.json",
    ]


def test_the_outcome_of_a_regression_is_in_the_unit_of_the_data():
    figures = {"test_loss": 0.25, "test_mae": 68432.25, "test_rmse": 812.5, "test_r2": None}
    said = outcome({**figures, "checkpoint_epoch": 2, "monitor": "val/loss"}, Path("runs/a"))
    assert said.splitlines()[0] == (
        "test: loss 0.2500, mae 68,432.2, rmse 812.5000, r2 not finite (epoch 2, best by val/loss)"
    )


def test_findings_and_checkpoints_take_a_line_each():
    assert finding_line(Finding("shapes", True, "fine")) == "ok    shapes: fine"
    assert finding_line(Finding("shapes", False, "odd")) == "FAIL  shapes: odd"
    meta = {"iteration": 7, "metrics": {"val/loss": 0.5, "note": "x"}}
    path = Path("checkpoints/00000007")
    good = Found(path, Saved(path=path, meta=meta), "")
    line = checkpoint_line(good, ["resume", "best"])
    assert line.split("  ")[0] == "00000007"
    assert "iteration 7, val/loss 0.5000" in line
    assert line.endswith("  good: resume, best")
    assert checkpoint_line(good, []).endswith("  good")
    assert checkpoint_line(Found(path, None, "torn"), []).endswith("  torn")


def test_a_test_figure_that_is_not_finite_stands_in_the_report_as_null():
    """At 888f0db a run that had trained well ended in a TypeError of its last line."""
    figures = {"test_loss": None, "test_accuracy": 0.5, "checkpoint_epoch": 2, "monitor": "x"}
    assert outcome(figures, Path("a")).startswith("test: loss not finite, accuracy 0.5000 (epoch 2")


def test_figures_that_somebody_wrote_into_a_checkpoint_are_shown_where_they_are_some():
    meta = {
        "iteration": 7,
        "metrics": {"a": 10**400, "b": True, "c": 0.25, "d": [1], "e": None, "f\x1b[31m": 1.0},
    }
    path = Path("checkpoints/00000007")
    line = checkpoint_line(Found(path, Saved(path=path, meta=meta), ""), [])
    assert "iteration 7, c 0.2500, 'f\\x1b[31m' 1.0000 " in line
