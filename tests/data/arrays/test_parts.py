from __future__ import annotations

import logging

import numpy as np
import pytest

from jaxtrain.data import memory
from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.parts import Pair, divide, find_pairs, read_pairs
from jaxtrain.errors import ConfigError, DataError


@pytest.fixture
def file(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return ArrayFile(tmp_path / "a.npz")

    return save


X, Y = np.ones((5, 2)), np.arange(5)


def test_pairs_and_what_is_left_over(file, caplog):
    with caplog.at_level(logging.INFO):
        pairs = find_pairs(file(x=X, y=Y, x_test=X, note=Y), {}, fitted=False)
    assert pairs == {"train": Pair("x", "y")}
    assert "not used: x_test, note" in caplog.text


def test_arrays_that_can_not_be_told_apart(file):
    with pytest.raises(ConfigError, match=r"which arrays are inputs and labels\? .* a float64"):
        find_pairs(file(a=X, b=X, c=Y), {}, fitted=False)
    with pytest.raises(ConfigError, match="which arrays are the labels of x"):
        find_pairs(file(x=X, other=X), {}, fitted=False)
    with pytest.raises(ConfigError, match="the labels of q"):
        find_pairs(file(x=X, y=Y, q=X), {"test_inputs": "q"}, fitted=False)
    with pytest.raises(ConfigError, match="x are the inputs of the train and of the test set"):
        find_pairs(file(x=X, y=Y), {"test_inputs": "x", "test_labels": "y"}, fitted=False)


def test_rows_without_labels_and_labels_without_rows(file):
    for x, y in ((X, Y[:4]), (X[0, 0], Y), (X, Y[0]), (X[:0], Y[:0]), (X[:, :0], Y)):
        with pytest.raises(DataError, match="expected a label for each row, found x"):
            find_pairs(file(x=x, y=y), {}, fitted=False)


def test_a_broken_array_that_is_told_of(file, tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=np.array([{}], object))
    with pytest.raises(DataError, match="pickles"):
        find_pairs(ArrayFile(tmp_path / "a.npz"), {"labels": "y"}, fitted=False)
    with pytest.raises(ConfigError, match=r"the labels of x\?(.|\n)*pickles"):
        find_pairs(ArrayFile(tmp_path / "a.npz"), {}, fitted=False)


def test_the_training_rows_may_be_gone(file):
    archive = file(x_test=X, y_test=Y)
    assert find_pairs(archive, {}, fitted=True) == {"test": Pair("x_test", "y_test")}
    with pytest.raises(ConfigError, match="which arrays"):
        find_pairs(archive, {}, fitted=False)


def test_all_together_take_half_of_the_memory_at_most(file, monkeypatch):
    archive = file(x=X, y=Y)
    pairs = [Pair("x", "y")]
    assert set(read_pairs(archive, pairs)) == {"x", "y"}
    needed = X.nbytes + Y.nbytes + 4 * X.size
    monkeypatch.setattr(memory, "machine_memory", lambda: 2 * needed)
    read_pairs(archive, pairs)
    monkeypatch.setattr(memory, "machine_memory", lambda: 2 * needed - 2)
    with pytest.raises(ConfigError, match=r"x float64\[5, 2\], y int64\[5\]: .*GrainLoader"):
        read_pairs(archive, pairs)


SEEDS = {"validation_fraction": 0.1, "seed": 0, "test_fraction": 0.2, "split_seed": 0}


def rows_of(pairs, classes, **options):
    parts = divide(pairs, classes, **{**SEEDS, **options})
    return {name: None if p.rows is None else set(p.rows.tolist()) for name, p in parts.items()}


def test_sets_that_the_file_lacks_are_drawn():
    classes = np.repeat([0, 1], [80, 20])
    train = {"train": Pair("x", "y")}
    rows = rows_of(train, classes)
    assert [len(rows[name]) for name in ("train", "validation", "test")] == [72, 8, 20]
    assert set.union(*rows.values()) == set(range(100))
    assert sum(row >= 80 for row in rows["test"]) == 4
    assert rows_of(train, classes, seed=1)["test"] == rows["test"]
    assert rows_of(train, classes, split_seed=1)["test"] != rows["test"]
    assert "validation" not in rows_of(train, classes, validation_fraction=0)


def test_sets_that_it_has_are_whole():
    classes = np.zeros(50, np.int32)
    pairs = {name: Pair(name, "y") for name in ("train", "validation", "test")}
    assert rows_of(pairs, classes) == {"train": None, "validation": None, "test": None}
    rows = rows_of({"train": Pair("x", "y"), "test": Pair("a", "b")}, classes)
    assert (len(rows["train"]), len(rows["validation"]), rows["test"]) == (45, 5, None)
    assert rows_of({"test": Pair("a", "b")}, classes[:0]) == {"test": None}
