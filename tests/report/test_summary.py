import json
import math
import re

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.report import read_summary, summarize, write_summary

EPOCHS = [
    {
        "epoch": 1,
        "iteration": 10,
        "train/loss": 0.5,
        "train/accuracy": 0.8,
        "val/loss": 0.4,
        "val/accuracy": 0.85,
    },
    {
        "epoch": 2,
        "iteration": 20,
        "train/loss": 0.3,
        "train/accuracy": 0.9,
        "val/loss": 0.35,
        "val/accuracy": 0.88,
    },
    {
        "epoch": 3,
        "iteration": 30,
        "train/loss": 0.2,
        "train/accuracy": 0.95,
        "val/loss": 0.37,
        "val/accuracy": 0.9,
    },
    {"epoch": 4, "iteration": 40, "train/loss": 0.1, "train/accuracy": 0.99},
]


def test_the_documented_fields(tmp_path):
    path = tmp_path / "run" / "metrics.json"
    fields = write_summary(
        path,
        EPOCHS,
        training_time_seconds=12.34567,
        parameters=1234,
        test={"accuracy": 0.91},
        checkpoint_epoch=3,
    )
    assert json.loads(path.read_text()) == fields
    assert fields == {
        "final_train_loss": 0.1,
        "final_train_accuracy": 0.99,
        "final_val_loss": 0.37,
        "final_val_accuracy": 0.9,
        "best_val_loss": 0.35,
        "best_val_accuracy": 0.9,
        "monitor": "val/loss",
        "best_epoch": 2,
        "total_epochs": 4,
        "total_steps": 40,
        "training_time_seconds": 12.346,
        "parameters": 1234,
        "checkpoint_epoch": 3,
        "test_accuracy": 0.91,
    }


def test_the_monitor_decides_the_best_epoch():
    fields = summarize(EPOCHS, training_time_seconds=1, monitor="val/accuracy", mode="max")
    assert fields["best_epoch"] == 3


def test_what_is_not_there_is_null():
    fields = summarize([{"epoch": 1, "iteration": 5, "train/loss": 0.5}], training_time_seconds=1)
    assert fields["final_train_loss"] == 0.5
    empty = {name for name, value in fields.items() if value is None}
    assert empty == {
        "final_train_accuracy",
        "final_val_loss",
        "final_val_accuracy",
        "best_val_loss",
        "best_val_accuracy",
        "best_epoch",
        "parameters",
        "checkpoint_epoch",
    }


def test_a_run_that_ended_before_its_first_epoch():
    fields = summarize([], training_time_seconds=0.5)
    assert (fields["total_epochs"], fields["total_steps"], fields["best_epoch"]) == (0, 0, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_final_loss_that_is_not_finite_is_null_and_not_an_older_one(tmp_path, bad):
    epochs = [*EPOCHS[:2], {"epoch": 3, "iteration": 30, "train/loss": bad, "val/loss": bad}]
    fields = write_summary(tmp_path / "metrics.json", epochs, training_time_seconds=1)
    assert fields["final_train_loss"] is None
    assert fields["final_val_loss"] is None
    assert fields["best_val_loss"] == 0.35
    assert fields["best_epoch"] == 2


def test_figures_of_a_regression_have_fields_of_their_own():
    """Finding C10: MAE and R² were nowhere to be seen."""
    rows = [(1, 90.0, 0.2), (2, 70.0, 0.5), (3, 80.0, 0.4)]
    epochs = [
        {"epoch": n, "iteration": n, "learning_rate": 0.1}
        | {
            f"{group}/{name}": v
            for group in ("train", "val")
            for name, v in (("mae", e), ("r2", r))
        }
        for n, e, r in rows
    ]
    fields = summarize(epochs, training_time_seconds=1, test={"mae": 75.5, "r2": float("nan")})
    assert (fields["final_train_mae"], fields["final_val_mae"]) == (80.0, 80.0)
    assert (fields["best_val_mae"], fields["best_val_r2"]) == (70.0, 0.5)
    assert (fields["test_mae"], fields["test_r2"]) == (75.5, None)
    assert fields["final_val_accuracy"] is None
    assert not [name for name in fields if "learning_rate" in name]


def test_what_was_written_can_be_read(tmp_path):
    for epochs in (EPOCHS, []):
        test = {"accuracy": 0.91, "loss": math.nan, "größe": 3}
        fields = write_summary(
            tmp_path / "metrics.json", epochs, training_time_seconds=1.5, test=test
        )
        assert read_summary(tmp_path / "metrics.json") == fields


def test_a_matrix_of_the_test_set_is_there_as_rows(tmp_path):
    test = {"confusion": np.array([[1.0, np.nan], [0.0, 2.0]]), "loss": np.float32(0.5)}
    path = tmp_path / "metrics.json"
    fields = write_summary(path, EPOCHS, training_time_seconds=1.5, test=test)
    assert fields["test_confusion"] == [[1.0, None], [0.0, 2.0]]
    assert fields["test_loss"] == 0.5
    assert read_summary(path) == fields
    for spoilt in ('[[1.0, "x"]]', "[[true]]", "[{}]", "[[1e999]]"):
        path.write_text(json.dumps(fields).replace("[[1.0, null], [0.0, 2.0]]", spoilt))
        with pytest.raises(DataError, match="test_confusion"):
            read_summary(path)
    path.write_text(json.dumps({**fields, "best_epoch": [1]}))
    with pytest.raises(DataError, match=r"'best_epoch' is \[1\]"):
        read_summary(path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[: len(text) // 2], "can't be read as a report"),
        (lambda text: "", "can't be read as a report"),
        (lambda text: "[]", "expected an object, found a list"),
        (lambda text: "{}", "final_train_loss is missing"),
        (lambda text: text.replace("0.1,", '"0.1",'), "'final_train_loss' is '0.1'"),
        (lambda text: text.replace("0.1,", "true,"), "'final_train_loss' is True"),
        (lambda text: text.replace("0.1,", "{},"), "'final_train_loss' is {}"),
        (lambda text: text.replace("0.1,", "NaN,"), "NaN is not JSON"),
        (lambda text: text.replace("0.1,", "1e999,"), "'final_train_loss' is inf"),
        (lambda text: text.replace("0.1,", "1" + "0" * 400 + ","), "'final_train_loss' is 1000"),
        (lambda text: text.replace('"val/loss"', "3"), "'monitor' is 3"),
        (lambda text: text.replace('"monitor"', '"\\ud800"'), "monitor is missing"),
        (lambda text: text.replace("{", '{"test_\\ud800": 1,'), "surrogates not allowed"),
        (lambda text: "[" * 10**5, "can't be read as a report"),
    ],
)
def test_what_somebody_made_of_it_is_told(tmp_path, spoil, says):
    path = tmp_path / "metrics.json"
    write_summary(path, EPOCHS, training_time_seconds=1.0)
    text = path.read_text()
    path.write_text(spoil(text))
    assert path.read_text() != text
    with pytest.raises(DataError, match=re.escape(says)) as raised:
        read_summary(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_another_encoding_is_told(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_bytes(b"\xff" + json.dumps({}).encode())
    with pytest.raises(DataError):
        read_summary(path)
