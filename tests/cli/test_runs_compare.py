"""`runs compare`."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.main import main
from jaxtrain.tracking import append_row
from tests.some_runs import epochs_run

LOSSES = {"train/loss": [1.0, 0.5], "val/loss": [0.9, 0.4], "val/f1": [0.5, 0.7], "lr": [0.1, 0.1]}
BETTER = {"train/loss": [0.9, 0.4], "val/loss": [0.3, 0.5], "val/f1": [0.5, 0.6], "lr": [0.1, 0.1]}


@pytest.fixture
def root(tmp_path):
    for name, curves, config in (
        ("first", LOSSES, {"seed": 1, "same": [1], "on": True, "x": None}),
        ("second", BETTER, {"seed": 2, "same": [1], "on": 1}),
        ("empty", {}, {"seed": 1, "same": [1], "on": True, "x": None}),
    ):
        run = epochs_run(tmp_path, name, curves, config=config)
        if curves:
            report = {
                "monitor": "val/loss",
                "final_val_loss": curves["val/loss"][-1],
                "best_val_loss": min(curves["val/loss"]),
                "test_f1": curves["val/f1"][-1],
                "parameters": len(name),
            }
            (run / "metrics.json").write_text(json.dumps(report))
            row = {"event": "iteration", "epoch": 2, "iteration": 20, "grad_norm": float(len(name))}
            append_row(run / "metrics.jsonl", row)
    return tmp_path


@pytest.fixture
def compared(root, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def compared(*words):
        assert main(["runs", "compare", "--root", str(root), *words]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out

    return compared


def test_the_best_of_each_row_is_marked_by_its_direction(compared):
    rows = {}
    for line in compared("first", "second").split("\nfigures")[1].split("\ncurves")[0].splitlines():
        *name, one, other = line.split()
        rows[" ".join(name)] = (one, other)
    assert rows.pop("") == ("first", "second")
    assert rows == {
        "train/loss": ("0.5000", "0.4000*"),
        "val/loss": ("0.4000*", "0.5000"),
        "val/loss, best": ("0.4000", "0.3000*"),
        "val/f1": ("0.7000*", "0.6000"),
        "val/f1, best": ("0.7000*", "0.6000"),
        "lr": ("0.1000", "0.1000"),
        "lr, best": ("0.1000", "0.1000"),
        "grad_norm": ("5.0000", "6.0000"),
        "test_f1": ("0.7000*", "0.6000"),
        "parameters": ("5", "6"),
    }


def test_curves_have_one_scale(compared):
    said = compared("first", "second")
    assert "\nval/loss (0.3000 to 0.9000)    █▂     ▁▃\n" in said


def test_only_what_differs_of_the_config(compared):
    said = compared("first", "second").split("\nconfig")[1].splitlines()[1:]
    assert [line.split() for line in said] == [
        ["seed", "1", "2"],
        ["on", "true", "1"],
        ["x", "null", "null"],
    ]
    assert "\nconfig" not in compared("first", "empty")


def test_the_document(compared):
    said = json.loads(compared("second", "empty", "first", "--json"))
    assert [run["id"] for run in said["runs"]] == ["second", "empty", "first"]
    assert said["figures"]["val/loss"] == {
        "values": [0.5, None, 0.4],
        "direction": "min",
        "best": [2],
    }
    assert said["figures"]["parameters"]["direction"] is None
    assert said["figures"]["test_f1"]["best"] == [2]
    assert said["config"]["seed"] == [2, 1, 1]
    assert said["curves"]["val/f1"] == [
        {"steps": [10, 20], "values": [0.5, 0.6]},
        None,
        {"steps": [10, 20], "values": [0.5, 0.7]},
    ]


def test_only_the_metrics_that_are_asked_for(compared):
    said = json.loads(
        compared("first", "second", "--metric", "final_val_loss", "--metric", "val/f1", "--json")
    )
    assert list(said["figures"]) == ["final_val_loss", "val/f1", "val/f1, best"]
    assert said["figures"]["final_val_loss"]["best"] == [0]
    assert list(said["curves"]) == ["val/f1"]


def test_a_narrow_terminal_gets_one_below_the_other(compared, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    said = compared("first", "second", "empty", "--metric", "val/loss")
    assert max(map(len, said.splitlines())) <= 30 + 13  # the name and its scale stay whole
    assert said.count("figures") == 2
    assert said.count("val/loss, best") == 2


@pytest.mark.parametrize("words", [["first"], ["first", "first"], ["first", "second", "fir"]])
def test_two_are_wanted(call, root, words):
    with pytest.raises(ConfigError, match="expected two runs or more, each of them once"):
        call("runs", "compare", *words, "--root", str(root))


def test_a_metric_that_nobody_has(call, root):
    with pytest.raises(ConfigError, match="--metric: no run has 'val/f2'; did you mean 'val/f1'"):
        call("runs", "compare", "first", "second", "--metric", "val/f2", "--root", str(root))
