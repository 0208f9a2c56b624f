from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from jaxtrain.data import READERS, SOURCES, array_file, check_dataset
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.run import make_config

DRAW = np.random.default_rng(0)
X = DRAW.normal(50, 20, (100, 3))
Y = np.repeat([0, 1], [70, 30])


@pytest.fixture
def read(tmp_path):
    def read(arrays, fraction=0.1, seed=0, fitted=None, **options):
        if arrays is not None:
            np.savez(tmp_path / "a b.npz", **arrays)
        return array_file(fraction, seed, fitted, file="a b.npz", root=str(tmp_path), **options)

    return read


def test_rows_of_two_arrays(read):
    splits = read({"x": X, "y": Y})
    assert [len(rows) for rows in splits.sets.values()] == [72, 8, 20]
    assert splits.train.inputs.dtype == np.float32
    assert (splits.train.name, splits.train.task, splits.train.num_outputs) == (
        "a b",
        "classification",
        2,
    )
    assert np.bincount(splits.test.labels).tolist() == [14, 6]
    assert all(f.ok for rows in splits.sets.values() for f in check_dataset(rows))
    rows = {tuple(row) for part in splits.sets.values() for row in part.inputs.tolist()}
    assert rows == {tuple(row) for row in X.astype(np.float32).tolist()}
    assert read(None).train.fingerprint() == splits.train.fingerprint()
    assert read(None, seed=1).test.fingerprint() == splits.test.fingerprint()
    assert splits.target_scale is None


def test_the_form_of_kerass_mnist(read, caplog):
    images = DRAW.integers(0, 256, (30, 4, 4)).astype(np.uint8)
    labels = (np.arange(30) % 3).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images[:6], "y_test": labels[:6]}
    with caplog.at_level(logging.INFO):
        splits = read(arrays, 0.0)
    assert splits.train.inputs.shape == (30, 4, 4, 1)
    assert np.allclose(splits.test.inputs[..., 0], images[:6] / 255)
    assert splits.validation is None
    assert "images in bytes, divided by 255" in caplog.text


def test_statistics_are_those_of_the_training_rows(read):
    splits = read({"x": X, "y": Y}, standardise=True)
    plain = read(None)
    mean = plain.train.inputs.astype(np.float64).mean(axis=0)
    deviation = plain.train.inputs.astype(np.float64).std(axis=0)
    for name, rows in splits.sets.items():
        expected = (plain.sets[name].inputs - mean) / deviation
        assert np.allclose(rows.inputs, expected, atol=1e-5)
    assert abs(splits.test.inputs.mean()) > 1e-4
    whole = {"x_train": X, "y_train": Y, "x_test": X[:10], "y_test": Y[:10]}
    again = read(whole, 0.0, standardise=True)
    assert abs(again.train.inputs.mean()) < 1e-6
    assert np.allclose(again.test.inputs, again.train.inputs[:10])


def test_a_regression_in_the_unit_of_its_training_rows(read):
    target = X.sum(axis=1)
    splits = read({"X": X, "y": target})
    assert (splits.train.task, splits.train.num_outputs) == ("regression", 1)
    assert abs(splits.train.labels.mean()) < 1e-5
    assert abs(splits.test.labels.mean()) > 1e-4
    back = splits.target_scale.in_unit(splits.train.labels)
    assert np.allclose(back, splits.train.inputs.sum(axis=1), rtol=1e-4)
    plain = read(None, standardise_target=False)
    assert plain.target_scale is None
    assert np.allclose(plain.train.labels, back, rtol=1e-4)
    wide = read({"X": X, "y": X[:, :2]})
    assert (wide.train.num_outputs, wide.train.labels.shape[1]) == (2, 2)


def test_texts_tokens_and_a_column(read, caplog):
    names = np.array(["no", "yes"])[Y]
    assert read({"x": X, "y": names}).train.label_names == ("no", "yes")
    tokens = read({"x": np.arange(200).reshape(100, 2), "y": Y}, tokens=True)
    assert tokens.train.inputs.dtype == np.int32
    assert all(f.ok for f in check_dataset(tokens.train))
    with caplog.at_level(logging.INFO):
        column = read({"x": X, "y": Y[:, None]})
    assert column.train.labels.ndim == 1
    assert "labels [100, 1] taken as [100]" in caplog.text
    with pytest.raises(ConfigError, match="tokens are not standardised"):
        read(None, tokens=True, standardise=True)


def test_what_is_wrong_is_told_by_its_place_in_the_file(read):
    x, y = X.copy(), Y.copy()
    x[93, 1] = 1e300
    with pytest.raises(DataError, match=r"a b\.npz: x\[93, 1\] is 1e\+300, more than float32"):
        read({"x": x, "y": y})
    y[97] = -2
    with pytest.raises(DataError, match=r"a b\.npz: y\[97\] is -2"):
        read({"x": X, "y": y})
    target = X[:, 0].copy()
    target[55] = np.nan
    with pytest.raises(DataError, match=r"y\[55\] is nan"):
        read({"x": X, "y": target})
    with pytest.raises(DataError, match=r"y_test\[2\] is 7; expected whole numbers from 0 to 1"):
        read({"x": X, "y": Y, "x_test": X[:3], "y_test": [0, 1, 7]})
    with pytest.raises(ConfigError, match=r"x_test: expected rows of shape \[3\]"):
        read({"x": X, "y": Y, "x_test": X[:3, :2], "y_test": [0, 1, 1]})


def test_nan_in_the_inputs_is_left_to_the_checks(read):
    x = X.copy()
    x[5, 1] = np.nan
    for standardise in (True, False):
        splits = read({"x": x, "y": Y}, standardise=standardise)
        bad = [f for rows in splits.sets.values() for f in check_dataset(rows) if not f.ok]
        assert [f.name for f in bad] == ["finite inputs"]
        assert "1 values are NaN" in bad[0].detail


def test_an_evaluation_fits_nothing_anew(read):
    arrays = {"x": X, "y": X[:, 0], "x_test": X[:9], "y_test": X[:9, 0]}
    first = read(arrays, standardise=True)
    state = json.loads(json.dumps(first.reader.state()))
    again = read(None, fitted=state, standardise=True)
    for name, rows in first.sets.items():
        assert again.sets[name].fingerprint() == rows.fingerprint()
    assert again.target_scale == first.target_scale
    changed = {**arrays, "x": X * 3, "y": X[:, 0] - 1}
    assert read(changed, fitted=state).test.fingerprint() == first.test.fingerprint()
    assert read(changed).test.fingerprint() != first.test.fingerprint()
    gone = read({"x_test": X[:9], "y_test": X[:9, 0]}, fitted=state)
    assert (gone.train, gone.validation) == (None, None)
    assert gone.test.fingerprint() == first.test.fingerprint()
    with pytest.raises(DataError, match="the reader of arrays"):
        read(arrays, fitted={"classes": []})


def test_a_file_that_is_missing(read, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"a b\.npz"):
        read(None)
    with pytest.raises(ConfigError, match=r"data\.file"):
        array_file(0.1, 0, file="a\0b", root=str(tmp_path))


def test_as_a_config_says_it(read, tmp_path):
    read({"a": X, "b": Y}, inputs="a", labels="b")
    section = {"name": "arrays", "file": "a b.npz", "root": str(tmp_path), "inputs": "a"}
    config = make_config({"data": {**section, "labels": "b"}})
    splits = SOURCES.build(config.data, validation_fraction=0.1, seed=0, fitted=None)
    reader = READERS.build(config.data, state=splits.reader.state())
    assert len(reader.read(tmp_path / "a b.npz")) == 100
    with pytest.raises(ConfigError, match=r"data\.task"):
        make_config({"data": {**section, "task": "guess"}})
