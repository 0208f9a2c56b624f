"""What a checkpoint knows of the data: complete, and nothing else passes for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data import Dataset, Splits, TargetScale
from jaxtrain.errors import CheckpointError
from jaxtrain.run import RunData
from jaxtrain.run.data import train_loader
from jaxtrain.run.learnt import Learnt


@pytest.fixture
def learnt(digits):
    return Learnt.of(RunData.of(digits()))


def test_it_says_what_the_model_must_know(learnt):
    assert (learnt.task, learnt.num_outputs, learnt.label_names) == (
        "classification",
        10,
        tuple("0123456789"),
    )
    assert sum(learnt.class_counts) == 1293
    batch = learnt.batch()
    assert batch["inputs"].shape == (32, 64)
    assert batch["inputs"].dtype == np.float32
    assert set(batch) == {"inputs", "labels", "row_mask"}


def test_it_comes_back_as_it_was(learnt):
    record = json.loads(json.dumps(learnt.to_json()))
    assert Learnt.from_json(record, where="meta.json") == learnt


def test_a_scale_and_what_a_reader_fitted_are_part_of_it(digits):
    class Reader:
        def state(self):
            return {"fitted": [1, 2]}

        def read(self, path):
            raise AssertionError

    targets = np.linspace(0, 9, 40, dtype=np.float32)
    scale = TargetScale.fit(targets)
    rows = Dataset(
        np.zeros((40, 3), np.float32), scale.standardise(targets), name="made", task="regression"
    )
    splits = Splits(rows, None, rows, reader=Reader(), target_scale=scale)
    config = digits("loss.name=mean_squared_error")
    learnt = Learnt.of(RunData(config, splits, train_loader(config, splits)))
    assert learnt.class_counts is None
    back = Learnt.from_json(json.loads(json.dumps(learnt.to_json())), where="")
    assert (back.scale, back.reader) == (scale, {"fitted": [1, 2]})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "clustering"),
        ("num_outputs", 0),
        ("num_outputs", "10"),
        ("num_outputs", True),
        ("label_names", ["a", "b"]),
        ("class_counts", [1, -1]),
        ("class_counts", [1, 2]),
        ("target_scale", {"mean": [0, 0], "deviation": [1, 1]}),
        ("a target's scale", {"target_scale": {"mean": "x"}}),
        ("reader", 3),
        ("example", {"inputs": {"shape": [-1], "dtype": "float32"}}),
        ("example", {"inputs": {"shape": [1], "dtype": "object of desire"}}),
        ("example", {"inputs": [1]}),
        ("example", None),
        ("more", 1),
        ("name", None),
    ],
)
def test_what_somebody_has_altered_is_refused_by_its_key(learnt, key, value):
    change = value if key == "a target's scale" else {key: value}
    record = {**learnt.to_json(), **change}
    with pytest.raises(CheckpointError, match=f"^here: does not say what was learnt: .*{key}"):
        Learnt.from_json(record, where="here")


@pytest.mark.parametrize("record", [None, [], 3, "x", {}])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(CheckpointError, match="does not say what was learnt"):
        Learnt.from_json(record, where="here")
