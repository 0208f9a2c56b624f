"""Predictions as a table: which row, which class, how likely; and how good where that is known."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from jaxtrain.data import Dataset, NewRows, Splits, TargetScale
from jaxtrain.errors import ConfigError, NonFiniteError
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from jaxtrain.run.data import train_loader
from jaxtrain.run.predictions import Predictions

CONFIG = Path(__file__).parents[2] / "configs/digits.py"
QUIET = ["hooks.progress=null", "hooks.console=null", "hooks.tensorboard=null"]


def trained_on(splits, workdir, *overrides):
    config = make_config(CONFIG, [*QUIET, "model.hidden=[16]", "train.epochs=20", *overrides])
    data = RunData(config, splits, train_loader(config, splits))
    Experiment(Task.of(data), workdir).train()
    return Trained.load(workdir)


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Which side of 0 a number is on."""
    inputs = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int32)
    rows = Dataset(inputs, labels, num_outputs=2, label_names=("left", "right"))
    workdir = tmp_path_factory.mktemp("sides") / "run"
    return trained_on(Splits(rows, rows, rows), workdir)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A regression: 4,000 and 500 times a number."""
    inputs = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32)
    targets = 4000 + 500 * inputs[:, 0]
    scale = TargetScale.fit(targets)
    rows = Dataset(inputs, scale.standardise(targets), task="regression")
    workdir = tmp_path_factory.mktemp("weights") / "run"
    splits = Splits(rows, rows, rows, target_scale=scale)
    return trained_on(
        splits, workdir, "loss={name: mean_squared_error}", "optimizer.learning_rate=0.01"
    )


def table(predictions: Predictions) -> list[dict[str, str]]:
    text = io.StringIO()
    predictions.write(text)
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def test_each_row_has_its_class_and_all_probabilities(sides):
    inputs = np.array([[-3, 0], [3, 0]], np.float32)
    made = Predictions.of(sides, NewRows(inputs, ids={"row": [1, 2], "name": ["a, b", 'c "d"']}))
    rows = table(made)
    assert list(rows[0]) == ["row", "name", "prediction", "probability left", "probability right"]
    assert [row["prediction"] for row in rows] == ["left", "right"]
    assert [row["name"] for row in rows] == ["a, b", 'c "d"']
    for row in rows:
        likely = {name: float(row[f"probability {name}"]) for name in ("left", "right")}
        assert max(likely, key=lambda name: likely[name]) == row["prediction"]
        assert sum(likely.values()) == pytest.approx(1)
    assert made.summary() == "2 rows"


def test_where_rows_have_a_target_it_says_how_good_they_are(sides):
    inputs = np.array([[-3, 0], [3, 0], [2, 0], [1, 0]], np.float32)
    labels, known = np.array([0, 0, 1, 0], np.int32), np.array([True, True, True, False])
    made = Predictions.of(sides, NewRows(inputs, labels, known, {"row": [1, 2, 3, 4]}))
    assert made.figures["rows"] == 3
    assert made.figures["accuracy"] == pytest.approx(2 / 3)
    assert made.summary().startswith("4 rows; on the 3 of them that have a target: ")
    none = NewRows(inputs, labels, np.zeros(4, bool), {"row": [1, 2, 3, 4]})
    assert Predictions.of(sides, none).figures == {}


def test_a_regression_speaks_the_unit_of_the_data(weights):
    made = Predictions.of(weights, NewRows(np.array([[0], [1]], np.float32), ids={"row": [1, 2]}))
    first, second = (float(row["prediction"]) for row in table(made))
    assert first == pytest.approx(4000, rel=0.05)
    assert second == pytest.approx(4500, rel=0.05)
    assert list(table(made)[0]) == ["row", "prediction"]
    # The digits that there are, and none that float64 makes up.
    assert all(len(row["prediction"]) <= 11 for row in table(made))


@pytest.mark.slow
def test_several_columns_of_a_target(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    targets = np.concatenate([10 + inputs, 1000 - 200 * inputs], axis=1)
    scale = TargetScale.fit(targets)
    labels = scale.standardise(targets)
    rows = Dataset(inputs, labels, task="regression", num_outputs=2)
    splits = Splits(rows, rows, rows, target_scale=scale)
    words = ["loss={name: mean_squared_error}", "optimizer.learning_rate=0.01"]
    made = Predictions.of(trained_on(splits, tmp_path / "run", *words), NewRows(inputs[:3]))
    assert list(made.columns) == ["prediction 0", "prediction 1"]
    said = [float(text) for text in made.columns["prediction 1"]]
    np.testing.assert_allclose(said, targets[:3, 1], rtol=0.2)


def test_a_column_called_prediction_gives_way(sides):
    rows = NewRows(np.zeros((1, 2), np.float32), ids={"prediction": ["mine"], "row": [1]})
    (row,) = table(Predictions.of(sides, rows))
    assert row["prediction"] in ("left", "right")
    assert row["input prediction"] == "mine"
    ids = {"input prediction": ["one"], "prediction": ["two"]}
    (row,) = table(Predictions.of(sides, NewRows(np.zeros((1, 2), np.float32), ids=ids)))
    assert (row["input prediction"], row["input input prediction"]) == ("one", "two")


def test_predictions_that_can_not_be_judged_are_not_lost(sides, monkeypatch, caplog):
    def fail(self, rows):
        raise NonFiniteError("the loss is inf")

    monkeypatch.setattr(Trained, "evaluate", fail)
    rows = NewRows(np.zeros((2, 2), np.float32), np.zeros(2, np.int32))
    made = Predictions.of(sides, rows)
    assert (len(made), made.figures) == (2, {})
    assert "how good they are can't be said: the loss is inf" in caplog.text


def test_what_is_not_finite_is_no_prediction(sides):
    inputs = np.array([[0, 0], [np.inf, 0]], np.float32)
    with pytest.raises(NonFiniteError, match="the prediction for row 2 is not finite"):
        Predictions.of(sides, NewRows(inputs))


def test_a_file_is_written_whole_or_not_at_all(sides, tmp_path):
    made = Predictions.of(sides, NewRows(np.zeros((3, 2), np.float32), ids={"row": [1, 2, 3]}))
    made.save(tmp_path / "out.csv")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
    assert len(made) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_rows_without_any_target_can_not_be_evaluated(sides):
    with pytest.raises(ConfigError, match="none of the rows has a target"):
        sides.dataset(NewRows(np.zeros((3, 2), np.float32)))
