"""A config from a first look: what it says is what trains."""

from __future__ import annotations

from pathlib import Path

import jax
import pytest

from jaxtrain.data.tables import csv_config, inspect_table
from jaxtrain.errors import ConfigError
from jaxtrain.run import RunData, Task, make_config
from tests.penguins import write as write_penguins


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("penguins") / "my penguins.csv"
    write_penguins(path)
    return path


def test_a_dozen_lines(path):
    lines, config = csv_config(inspect_table(path, target="species"), path)
    assert config == {
        "project": "my_penguins",
        "data": {
            "name": "csv",
            "train": str(path),
            "target": "species",
            "thousands": ",",
            "drop": ["sample", "region"],
            "dates": ["date_egg"],
            "missing": ["NA", ""],
            "unlabelled": "drop",
            "batch_size": 16,
        },
        "model": {"name": "mlp", "hidden": [32]},
        "train": {"epochs": 40},
    }
    text = "\n".join(lines)
    for words in (
        "344 rows, 10 columns, apart by comma, utf-8, thousands apart by ','",
        "sample             identifier, dropped  counts the rows from 1 to 344",
        "classification of 'species': 3 different values in 343 rows",
        "taken for a missing value: 'NA'",
        "rows without a target, which are left out: 1",
        "classes: Adelie 44.",
    ):
        assert words in text


@pytest.mark.parametrize(("target", "at_least"), [("species", 0.95), ("body_mass_g", 0.7)])
def test_it_trains_at_once(path, target, at_least):
    """Seen: four guesses for a classification, four more for a regression that learnt nothing."""
    _, tree = csv_config(inspect_table(path, target=target), path)
    task = Task.of(RunData.of(make_config(tree)))
    data, step, state = task.data, jax.jit(task.train_step), task.initial_state()
    for epoch in range(tree["train"]["epochs"]):
        for batch in data.loader.epoch(epoch):
            state, _ = step(state, batch)
    test = {"inputs": data.splits.test.inputs}
    outputs, _ = task.model.apply(state.variables(state.params), test, train=False, rngs={})
    labels = data.splits.test.labels
    if target == "species":
        assert (outputs.argmax(axis=1) == labels).mean() >= at_least
    else:  # R²
        assert 1 - ((outputs[:, 0] - labels) ** 2).mean() / labels.var() >= at_least


def test_only_what_is_not_the_default_is_written(write):
    path = write("x,y\n" + "1,a\n2,b\n" * 30)
    _, config = csv_config(inspect_table(path, target="y"), path)
    assert config["data"].keys() == {"name", "train", "target", "batch_size"}
    assert "loss" not in config


def test_a_regression_says_so(write):
    rows = "".join(f"{n % 7},{n * 7 % 61}\n" for n in range(60))
    path = write(f"x,y\n{rows}")
    _, config = csv_config(inspect_table(path, target="y"), path)
    assert config["data"]["task"] == "regression"
    assert config["loss"] == {"name": "mean_squared_error"}


def test_uneven_classes_are_named(write):
    rows = "".join(f"{n % 7},{'b' if n % 12 == 0 else 'a'}\n" for n in range(120))
    path = write(f"x,y\n{rows}")
    lines, _ = csv_config(inspect_table(path, target="y"), path)
    assert "uneven: 11 times as many rows of 'a' as of 'b' (10); loss.class_weights" in lines[-1]


def test_codes_among_numbers_are_declared(write):
    rows = "".join(f"{['1', '2', '3+', 'x'][n % 4]},{'ab'[n % 2]}\n" for n in range(60))
    path = write(f"x,y\n{rows}")
    _, config = csv_config(inspect_table(path, target="y"), path)
    assert config["data"]["categorical"] == ["x"]
    RunData.of(make_config(config))


@pytest.mark.parametrize(
    ("rows", "size", "epochs"), [(900, 16, 38), (6000, 64, 23), (30_000, 256, 18)]
)
def test_batches_and_epochs_follow_the_rows(write, rows, size, epochs):
    path = write("x,y\n" + "1,a\n2,b\n" * (rows // 2))
    _, config = csv_config(inspect_table(path, target="y"), path)
    assert (config["data"]["batch_size"], config["train"]["epochs"]) == (size, epochs)


def test_nothing_to_learn_from(write):
    path = write("x,y\n" + "1,a\n1,b\n" * 30)
    with pytest.raises(ConfigError, match="no column is left to learn 'y' from"):
        csv_config(inspect_table(path, target="y"), path)
    with pytest.raises(ConfigError, match="no target"):
        csv_config(inspect_table(path), path)


def test_what_it_is_called(write):
    path = write("x,y\n" + "1,a\n2,b\n" * 30, "_ä (1).csv")
    _, config = csv_config(inspect_table(path, target="y"), Path("_ä (1).csv"))
    assert config["project"] == "1"


def test_a_column_that_says_which_rows_are_for_what(tmp_path):
    """It was taken for a feature, and the rows were drawn anew."""
    rows = "".join(
        f"{n / 7:.2f},{('train', 'val', 'test')[n % 3]},{'yes' if n % 2 else 'no'}\n"
        for n in range(60)
    )
    (tmp_path / "t.csv").write_text("x,fold,label\n" + rows)
    lines, config = csv_config(
        inspect_table(tmp_path / "t.csv", target="label"), tmp_path / "t.csv"
    )
    assert config["data"]["split"] == "fold"
    assert "fold" not in config["data"].get("categorical", [])
    assert any("'fold' says which rows train, validate and test" in line for line in lines)
    splits = RunData.of(make_config(config)).splits
    assert [len(rows) for rows in splits.sets.values()] == [20, 20, 20]
