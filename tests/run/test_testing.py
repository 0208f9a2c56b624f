"""The worst mistakes of a run, and its confusion matrix: as one finds them by hand."""

from __future__ import annotations

import io
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxtrain.data import Dataset, Splits
from jaxtrain.run import RunData, Task, make_config
from jaxtrain.run.data import train_loader
from jaxtrain.run.testing import MISTAKES, log_mistakes, make_tester
from jaxtrain.tracking import Run, RunRecord, read_rows, write_metadata

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def task():
    return Task.of(RunData.of(make_config(CONFIGS / "digits.py", ["model.hidden=[8]"])))


def test_mistakes_and_matrix_of_the_test_set(task, tmp_path):
    state = task.initial_state()
    figures = dict(make_tester(task, state).run(task.data.eval_loader("test"), state=state).metrics)
    test = task.data.sets["test"]
    _, output = jax.jit(task.eval_step)(state, {"inputs": test.inputs, "labels": test.labels})
    logits = np.asarray(output["outputs"], np.float64)
    said = logits.argmax(1)
    matrix = np.zeros((10, 10))
    np.add.at(matrix, (test.labels, said), 1)
    assert np.array_equal(figures["confusion_matrix"], matrix)
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(test)), test.labels]
    wrong = np.flatnonzero(said != test.labels)
    worst = wrong[np.argsort(-loss[wrong])][:16]
    found = np.asarray(figures[MISTAKES])
    assert found[:, 0].tolist() == worst.tolist()

    write_metadata(tmp_path, "running", project="p", config={})
    Run(tmp_path).log_text("mistakes/mine", "x", 1)
    for _ in range(2):  # what a report that is made anew logs, replaces what there was
        log_mistakes(Run(tmp_path), test, found, step=9)
    record = RunRecord.read(tmp_path)
    (mine, table, *pictures) = record.media
    assert mine["name"] == "mistakes/mine"
    assert table["step"] == 9
    assert (table["name"], table["rows"], len(pictures)) == ("mistakes/table", 16, 16)
    first = pictures[0]
    row = worst[0]
    assert first["caption"] == f"row {row + 1}: {test.labels[row]}, taken for {said[row]}"
    pixels = np.asarray(Image.open(io.BytesIO((tmp_path / first["file"]).read_bytes())))
    expected = test.inputs[row].reshape(8, 8)
    assert np.array_equal(pixels, np.round(expected / expected.max() * 255).astype(np.uint8))


def test_a_config_that_names_metrics_gets_those(task):
    data = RunData.of(make_config(CONFIGS / "digits.py", ["model.hidden=[8]", "metrics=[loss]"]))
    named = Task.of(data)
    tester = make_tester(named, named.initial_state())
    assert sorted(tester.metric_names) == sorted(["loss", MISTAKES])


def test_nothing_is_added_where_nothing_is_to_be_recorded():
    data = RunData.of(make_config(CONFIGS / "digits.py", ["tracking.mode=disabled"]))
    task = Task.of(data)
    assert sorted(make_tester(task, task.initial_state()).metric_names) == ["accuracy", "loss"]


def test_a_regression_has_no_mistakes():
    numbers = Dataset(np.ones((8, 3), np.float32), np.ones(8, np.float32), task="regression")
    config = make_config(CONFIGS / "digits.py", ["loss.name=mean_squared_error"])
    splits = Splits(train=numbers, validation=None, test=numbers)
    task = Task.of(RunData(config, splits, train_loader(config, splits)))
    assert MISTAKES not in make_tester(task, task.initial_state()).metric_names


@pytest.mark.parametrize(
    ("shape", "image_shape", "pictures"),
    [
        ((4, 4, 1), (), 1),
        ((4, 4, 3), (), 1),
        ((16,), (), 0),
        ((16,), (4, 4), 1),
        ((4, 4, 2), (), 0),
        ((4, 4), (), 0),
    ],
)
def test_which_inputs_are_pictures(tmp_path, shape, image_shape, pictures):
    inputs = np.full((2, *shape), -3.0, np.float32)
    rows = Dataset(inputs, np.zeros(2, np.int32), num_outputs=2, image_shape=image_shape)
    log_mistakes(Run(tmp_path), rows, np.array([[1.0, 0.0, 1.0, 0.7], [np.nan] * 4]), step=1)
    kinds = [row["kind"] for row in read_rows(tmp_path / "media.jsonl")[0]]
    assert kinds == ["table"] + ["image"] * pictures


def test_no_mistake_is_no_table(tmp_path):
    rows = Dataset(np.zeros((2, 3), np.float32), np.zeros(2, np.int32), num_outputs=2)
    log_mistakes(Run(tmp_path), rows, np.full((16, 4), np.nan), step=1)
    log_mistakes(Run(tmp_path), rows, None, step=1)
    assert list(tmp_path.iterdir()) == []
