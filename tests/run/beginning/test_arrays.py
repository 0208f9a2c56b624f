from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxtrain.config.yaml_form import read
from jaxtrain.data import read_idx
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.run import Experiment, RunData, Task, make_config
from jaxtrain.run.beginning import begin_with_arrays, config_text

DRAW = np.random.default_rng(0)
X = DRAW.normal(50, 20, (100, 3))


@pytest.fixture
def begin(tmp_path):
    def begin(**arrays):
        np.savez(tmp_path / "my data.npz", **arrays)
        return begin_with_arrays(tmp_path / "my data.npz")

    return begin


def facts(beginning):
    return {fact.what: fact for fact in beginning.facts}


def config_of(beginning, **more):
    tree = read(config_text(beginning.config, beginning.comments), "x")[0]
    return make_config({**tree, "hooks": {"progress": None, "console": None}, **more})


def test_some_of_mnist_as_keras_has_it(begin, shared_data):
    images = read_idx(shared_data / "mnist/t10k-images-idx3-ubyte.gz", axes=3)
    labels = read_idx(shared_data / "mnist/t10k-labels-idx1-ubyte.gz", axes=1)
    beginning = begin(
        x_train=images[:1000], y_train=labels[:1000], x_test=images[1000:1200],
        y_test=labels[1000:1200],
    )  # fmt: skip
    assert beginning.config["model"] == {
        "name": "cnn", "channels": [32, 64], "hidden": [128], "dropout": 0.25,
    }  # fmt: skip
    found = facts(beginning)
    assert found["x_train"].taken_for == "train inputs"
    assert found["x_train"].because == "uint8[1000, 28, 28], from 0 to 255"
    assert found["task"].taken_for == "classification"
    assert found["scale"].because == "bytes of images are divided by 255"
    data = RunData.of(config_of(beginning))
    assert {name: len(rows) for name, rows in data.sets.items()} == {
        "train": 899,
        "validation": 101,
        "test": 200,
    }
    Task.of(data)


@pytest.mark.slow
def test_a_regression_trains_at_once(begin, tmp_path):
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    beginning = begin(X=bunch.data, y=bunch.target)
    config = config_of(beginning, checkpoint={"every_epochs": 10}, train={"epochs": 10})
    assert (config.loss.name, config.model.name) == ("mean_squared_error", "mlp")
    assert config.data.standardise
    assert all(finding.ok for finding in RunData.of(config).findings)
    experiment = Experiment.of(config, tmp_path / "run")
    assert experiment.train()["test_loss"] < 0.75  # of 1, the variance


def test_texts_and_other_labels(begin):
    names = np.array(["a", "b", "c"])[np.arange(100) % 3]
    for y, task, given in (
        (names, "classification", None),
        (np.arange(100) % 3 > 0, "classification", None),
        (np.arange(100) % 3, "classification", None),
        ((np.arange(100) % 3).astype(float), "classification", "classification"),
        (np.arange(100), "regression", "regression"),
        (np.arange(100) * 0.5, "regression", None),
        (X[:, :2], "regression", None),
        ((X[:, :2] * 10).astype(int), "regression", "regression"),
    ):
        beginning = begin(x=X, y=y)
        assert facts(beginning)["task"].taken_for == task
        assert beginning.config["data"].get("task") == given
        data = RunData.of(config_of(beginning))
        assert (data.train.task, data.broken) == (task, ())
    Task.of(data)
    assert facts(begin(x=X, y=names))["classes"].taken_for == "3: a (34), b (33), c (33)"


def test_labels_that_nobody_can_train_with(begin):
    with pytest.raises(ConfigError, match=r"y\.argmax\(axis=1\)"):
        begin(x=X, y=np.eye(4)[np.arange(100) % 4])
    with pytest.raises(ConfigError, match="2 different values, from -1 on; classes begin at 0"):
        begin(x=X, y=np.sign(X[:, 0] - 50).astype(int))
    hole = X.copy()
    hole[7, 2] = np.nan
    with pytest.raises(DataError, match=r"x\[7, 2\] is NaN or infinite"):
        begin(x=hole, y=np.arange(100) % 2)


def test_what_is_uneven_and_what_is_missing_is_said(begin):
    y = np.repeat([1, 3], [90, 10])
    beginning = begin(x=X, y=y, note=y)
    said = "\n".join(beginning.lines)
    assert "90 of 1, 10 of 3" in said
    assert "classes from 0 to 3, of which 2 never occur; `check` will say so" in said
    assert facts(beginning)["note"].taken_for == "not used"
    assert beginning.comments["loss"] == "loss: {class_weights: balanced}"


def test_images_by_shape_and_dtype(begin):
    y = np.arange(100) % 2
    grey = DRAW.integers(0, 256, (100, 8, 8)).astype(np.uint8)
    for x, model, more in (
        (grey, "cnn", {}),
        (grey[..., None] / 255, "cnn", {"images": True}),
        (grey[..., None] / 1.0, "cnn", {"images": True, "standardise": True}),
        (grey // 16, "cnn", {"standardise": True}),
        (grey // 128, "cnn", {}),
        (grey / 255, "mlp", {"standardise": True}),
        (grey[:, :2], "mlp", {}),
        (grey.reshape(100, 64), "mlp", {"standardise": True}),
        (grey[:, 0, 0], "mlp", {"standardise": True}),
    ):
        beginning = begin(x=x, y=y)
        assert beginning.config["model"]["name"] == model
        data = beginning.config["data"]
        assert {k: data[k] for k in ("images", "standardise") if k in data} == more, x.shape
        shape = RunData.of(config_of(beginning)).train.inputs.shape
        assert (len(shape) == 4) or model == "mlp"
    assert "data.images=true" in facts(begin(x=grey / 255, y=y))["model"].because


def test_paths_are_written_from_the_working_directory(begin, tmp_path, monkeypatch):
    begin(x=X, y=np.arange(100) % 2)
    monkeypatch.chdir(tmp_path)
    beginning = begin_with_arrays(Path("my data.npz"))
    assert (beginning.config["data"]["root"], beginning.config["data"]["file"]) == (
        ".",
        "my data.npz",
    )
    assert beginning.config["project"] == "my_data"
    assert any("'.', from the directory" in line for line in beginning.lines)
