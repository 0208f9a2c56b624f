from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.arrays import inspect_arrays, inspection
from jaxtrain.data.arrays.parts import Pair
from jaxtrain.errors import ConfigError, DataError

X = np.arange(12.0).reshape(6, 2)


@pytest.fixture
def seen(tmp_path):
    def seen(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return inspect_arrays(tmp_path / "a.npz")

    return seen


def test_what_there_is(seen):
    found = seen(x=X, y=[0, 1, 1, 3, 3, 3], extra=[1], odd=np.array([{}], object))
    assert found.pairs == {"train": Pair("x", "y")}
    assert (found.inputs.low, found.inputs.high, found.inputs.not_finite) == (0, 11, 0)
    assert found.labels.counts == {"0": 1, "1": 2, "3": 3}
    assert (found.labels.distinct, found.labels.is_whole, found.labels.is_one_hot) == (
        3,
        True,
        False,
    )
    assert found.left_out == ("extra", "odd")
    assert "pickles" in found.faults[0]


def test_what_is_not_finite(seen):
    x = X.copy()
    x[3, 1], x[4, 0] = np.nan, np.inf
    found = seen(x=x, y=np.arange(6)).inputs
    assert (found.low, found.high, found.not_finite, found.first) == (0, 11, 2, (3, 1))
    assert seen(x=X * np.nan, y=np.arange(6)).inputs.low is None


def test_labels_of_other_kinds(seen, monkeypatch):
    assert seen(x=X, y=np.array(["b", "a"] * 3)).labels.counts == {"a": 3, "b": 3}
    assert seen(x=X, y=np.array([b"b", b"a"] * 3)).labels.counts == {"a": 3, "b": 3}
    assert seen(x=X, y=np.array(["b", "a"] * 3)).labels.array.low is None
    assert seen(x=X, y=[0.5] * 6).labels.is_whole is False
    assert seen(x=X, y=[1.0, 2.0] * 3).labels.counts == {"1": 3, "2": 3}
    assert seen(x=X, y=np.eye(6)).labels.is_one_hot
    assert not seen(x=X, y=np.ones((6, 2))).labels.is_one_hot
    assert not seen(x=X, y=np.tri(6)).labels.is_one_hot
    with pytest.raises(DataError, match="not UTF-8"):
        seen(x=X, y=np.array([b"\xff"] * 6))
    monkeypatch.setattr(inspection, "_COUNTED", 2)
    assert seen(x=X, y=np.arange(6)).labels.counts == {}


def test_arrays_that_can_not_be_told_apart(seen):
    with pytest.raises(ConfigError, match="which arrays"):
        seen(a=X, b=X, c=X)
