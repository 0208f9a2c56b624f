from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from jaxtrain.data import Reader, array_file
from jaxtrain.data.arrays import arrays_reader
from jaxtrain.errors import ConfigError, DataError

X = np.random.default_rng(0).normal(5, 2, (40, 3))
Y = np.arange(40) % 4


@pytest.fixture
def trained(tmp_path):
    def trained(y, **options):
        np.savez(tmp_path / "train.npz", x=X, y=y)
        splits = array_file(0.0, 0, file="train.npz", root=str(tmp_path), **options)
        return arrays_reader(json.loads(json.dumps(splits.reader.state()))), splits

    return trained


def test_it_is_made_again_of_its_state(trained):
    reader, splits = trained(Y)
    assert isinstance(reader, Reader)
    assert reader.state() == splits.reader.state()
    for state in ({}, [], None, {"inputs": 1, "labels": 2}):
        with pytest.raises(DataError, match="the reader of arrays"):
            arrays_reader(state)


def test_inputs_alone_and_with_labels(trained, tmp_path):
    reader, _ = trained(Y, standardise=True)
    np.save(tmp_path / "new.npy", X[:5])
    rows = reader.read(tmp_path / "new.npy")
    assert (rows.inputs.shape, rows.labels, rows.known) == ((5, 3), None, None)
    assert list(rows.ids["index"]) == [0, 1, 2, 3, 4]
    whole = reader.read(tmp_path / "train.npz")
    assert (whole.inputs[:5] == rows.inputs).all()
    assert whole.labels.tolist() == Y.tolist()
    np.savez(tmp_path / "new.npz", whatever=X[:5])
    assert (reader.read(tmp_path / "new.npz").inputs == rows.inputs).all()


def test_labels_that_the_model_does_not_know(trained, tmp_path, caplog):
    reader, _ = trained(np.array(["a", "b", "c", "d"])[Y])
    np.savez(tmp_path / "new.npz", x=X[:3], y=np.array(["d", "?", "a"]))
    with caplog.at_level(logging.WARNING):
        rows = reader.read(tmp_path / "new.npz")
    assert (rows.labels.tolist(), rows.known.tolist()) == ([3, 0, 0], [True, False, True])
    assert "1 labels are none that the model knows, the first in row 1" in caplog.text
    np.savez(tmp_path / "new.npz", x=X[:2], y=np.array(["?", "?"]))
    rows = reader.read(tmp_path / "new.npz")
    assert (rows.labels, rows.known) == (None, None)


def test_targets_come_as_the_loss_takes_them(trained, tmp_path):
    reader, splits = trained(X[:, 0] * 100)
    np.savez(tmp_path / "new.npz", x=X[:2], y=[500.0, np.nan])
    rows = reader.read(tmp_path / "new.npz")
    assert np.allclose(splits.target_scale.in_unit(rows.labels[:1]), 500, rtol=1e-5)
    assert rows.known.tolist() == [True, False]


def test_others_than_it_was_trained_on(trained, tmp_path):
    reader, _ = trained(Y)
    np.save(tmp_path / "new.npy", X[:, :2])
    with pytest.raises(ConfigError, match=r"new\.npy.*: expected rows of shape \[3\]"):
        reader.read(tmp_path / "new.npy")
