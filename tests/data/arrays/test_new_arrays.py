from __future__ import annotations

import logging

import jax
import numpy as np
import pytest

from jaxtrain.data import read_inputs
from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.new_arrays import new_arrays
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def example(shape=(8, 3), dtype=np.float32, name="inputs"):
    return {
        name: jax.ShapeDtypeStruct(shape, dtype),
        "labels": jax.ShapeDtypeStruct((8,), np.int32),
        "row_mask": jax.ShapeDtypeStruct((8,), np.float32),
    }


@pytest.fixture
def saved(tmp_path):
    def saved(**arrays):
        np.savez(tmp_path / "new.npz", **arrays)
        return tmp_path / "new.npz"

    return saved


@pytest.mark.parametrize(
    ("arrays", "names"),
    [
        (["inputs"], ("inputs", None)),
        (["whatever"], ("whatever", None)),
        (["inputs", "labels", "x"], ("inputs", "labels")),
        (["x", "y"], ("x", "y")),
        (["x", "note"], ("x", None)),
        (["x_train", "y_train", "x_test", "y_test"], ("x_test", "y_test")),
        (["x_test", "more"], ("x_test", None)),
        (["mine", "y"], ("mine", "y")),
    ],
)
def test_which_arrays_are_meant(saved, arrays, names, caplog):
    file = ArrayFile(saved(**dict.fromkeys(arrays, X)))
    told = {"inputs": "inputs", "labels": None} if "inputs" in arrays else {}
    told = {"inputs": "mine"} if "mine" in arrays else told
    with caplog.at_level(logging.INFO):
        assert new_arrays(file, told) == names
    left_out = [name for name in arrays if name not in names]
    assert all(name in caplog.text for name in left_out)


def test_arrays_that_can_not_be_told_apart(saved):
    with pytest.raises(ConfigError, match=r"which array are the inputs\? .* a float32\[4, 3\]"):
        new_arrays(ArrayFile(saved(a=X, b=X, c=X)), {"inputs": "gone"})


def test_inputs_as_the_model_takes_them(saved, tmp_path, caplog):
    for dtype in (np.float32, np.float64, np.float16):
        rows = read_inputs(saved(inputs=X.astype(dtype)), example())
        assert (rows.inputs.dtype, rows.inputs.tolist()) == (np.float32, X.tolist())
    assert list(rows.ids["index"]) == [0, 1, 2, 3]
    np.save(tmp_path / "new.npy", X.astype(np.uint8))
    rows = read_inputs(tmp_path / "new.npy", example(dtype=np.int32))
    assert (rows.inputs.dtype, rows.inputs.tolist()) == (np.int32, X.tolist())
    with caplog.at_level(logging.INFO):
        assert read_inputs(saved(inputs=X, labels=X), example()).labels is None
    assert "labels are not read" in caplog.text


def test_inputs_that_do_not_fit(saved, tmp_path):
    with pytest.raises(ConfigError, match=r"expected rows of shape \[3\], .* of shape \[4, 2\]"):
        read_inputs(saved(inputs=X[:, :2]), example())
    with pytest.raises(ConfigError, match="one row alone is saved as"):
        read_inputs(saved(inputs=X[0]), example())
    for dtype, wanted in ((np.uint8, np.float32), (np.float32, np.int32), (bool, np.float32)):
        with pytest.raises(ConfigError, match=f"expected {np.dtype(wanted)}, .* found "):
            read_inputs(saved(inputs=X.astype(dtype)), example(dtype=wanted))
    with pytest.raises(DataError, match="from 0 to 2147483648, more than int32 holds"):
        read_inputs(saved(inputs=np.array([[0, 0, 2**31]])), example(dtype=np.int32))
    with pytest.raises(DataError, match="more than float32 holds"):
        read_inputs(saved(inputs=np.array([[0, 0, 1e39]])), example())
    with pytest.raises(ConfigError, match=r"no 'inputs' \(they have image, labels, row_mask\)"):
        read_inputs(saved(inputs=X), example(name="image"))
    with pytest.raises(DataNotFoundError):
        read_inputs(tmp_path / "none.npz", example())
    with pytest.raises(DataError, match="holds no value"):
        read_inputs(saved(inputs=X[:0]), example())
