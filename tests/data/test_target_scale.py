"""The scale of a target: there and back, in one column and in several."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data import TargetScale
from jaxtrain.errors import DataError


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_there_and_back(shape):
    targets = np.random.default_rng(0).normal(5000, 300, size=shape)
    scale = TargetScale.fit(targets)
    labels = scale.standardise(targets)
    assert labels.dtype == np.float32
    assert labels.shape == shape
    np.testing.assert_allclose(labels.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(labels.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(scale.in_unit(labels), targets, rtol=1e-6)
    assert TargetScale.from_json(scale.to_json()) == scale


def test_outputs_with_a_last_axis_come_back_in_the_unit_of_targets_without():
    scale = TargetScale((10.0,), (2.0,))
    np.testing.assert_array_equal(scale.in_unit(np.array([[0.0], [1.0]])), [[10.0], [12.0]])


def test_a_constant_target_is_left_in_its_unit():
    assert TargetScale.fit(np.full(10, 0.1)).deviation == (1.0,)


def test_large_numbers_close_together_keep_their_differences():
    """Seconds since 1970, a day apart: in float32 half of them would be one."""
    targets = 1.7e9 + np.arange(10.0)
    scale = TargetScale.fit(targets)
    np.testing.assert_allclose(scale.in_unit(scale.standardise(targets)), targets, atol=1e-6)


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"mean": [1]},
        {"mean": [], "deviation": []},
        {"mean": [1], "deviation": [0]},
        {"mean": [1], "deviation": [1, 2]},
        {"mean": ["x"], "deviation": [1]},
        {"mean": [float("nan")], "deviation": [1]},
        {"mean": 1, "deviation": 1},
        {"mean": [10**400], "deviation": [1]},
    ],
)
def test_what_is_no_scale_is_refused(record):
    with pytest.raises(DataError, match="a target's scale"):
        TargetScale.from_json(record)
