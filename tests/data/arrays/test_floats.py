import logging

import numpy as np
import pytest

from jaxtrain.data.arrays import floats
from jaxtrain.data.arrays.floats import as_float32, moments
from jaxtrain.errors import DataError


def test_numbers_of_any_kind():
    for raw in (np.array([True]), np.uint8([3]), np.float16([2]), np.array([5], ">i8")):
        assert as_float32(raw, name="x").dtype == np.float32
    raw = np.float32([1, np.nan, np.inf])
    values = as_float32(raw, name="x")
    assert np.array_equal(values, raw, equal_nan=True)
    values[0] = 7
    assert raw[0] == 1  # a new array, always
    assert as_float32(np.asfortranarray(np.ones((2, 3))), name="x").flags.c_contiguous


def test_what_float32_can_not_hold():
    with pytest.raises(DataError, match=r"x\[1, 0\] is -?1e\+39, more than float32 holds; 2 val"):
        as_float32(np.array([[1.0, 2.0], [1e39, -1e39]]), name="x")
    assert np.isinf(as_float32(np.array([np.inf]), name="x")).all()


def test_whole_numbers_that_are_rounded_are_told_of(caplog):
    with caplog.at_level(logging.WARNING):
        as_float32(np.array([2**24, -(2**24)]), name="x")
        assert caplog.text == ""
        as_float32(np.array([0, -(2**24) - 1]), name="x")
        as_float32(np.array([2**64 - 1], np.uint64), name="y")
    assert (
        "x: whole numbers from -16777217 to 0, which float32 rounds above 16777216" in caplog.text
    )
    assert "y: whole numbers" in caplog.text


def test_moments_of_each_column(monkeypatch):
    monkeypatch.setattr(floats, "_ROWS", 7)
    values = np.random.default_rng(0).normal(5, 3, (100, 4)).astype(np.float32)
    values[:, 1] = 2.5
    mean, deviation = moments(values)
    assert np.allclose(mean, values.mean(axis=0, dtype=np.float64))
    assert np.allclose(deviation, [*values.std(axis=0, dtype=np.float64)[:1], 1.0,
                                   *values.std(axis=0, dtype=np.float64)[2:]])  # fmt: skip
    images = values.reshape(25, 2, 2, 4)
    assert np.allclose(moments(images), (mean, deviation))


def test_what_is_not_finite_has_no_part_in_them():
    values = np.float32([[1, np.nan], [3, np.nan], [np.inf, np.nan]])
    assert moments(values) == ((2.0, 0.0), (1.0, 1.0))
