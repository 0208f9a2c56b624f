"""What losses read. How it goes into a loss, tests/step/test_losses.py says."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.step.reading import array, integers, summed, weights_of, zeroed


def test_one_array_of_the_outputs():
    assert array({"a": [1.0], "b": [2.0]}, "b", "mine").tolist() == [2.0]
    for outputs, key, message in (
        ({"a": 1}, None, "mine reads one array, .* a dict of 'a'; name one with outputs="),
        ((1, 2), None, "mine reads one array, .* a tuple of 2"),
        ({"a": 1}, "b", "mine reads 'b'"),
        (np.ones(2), "b", r"mine reads outputs\['b'\], but the model gives no dict"),
    ):
        with pytest.raises(DataError, match=message):
            array(outputs, key, "mine")


def test_labels_become_wide_enough():
    assert integers(np.array([255], np.uint8), reader="mine").dtype == jnp.int32
    assert integers(np.array([7], np.uint32), reader="mine").dtype == jnp.uint32
    with pytest.raises(DataError, match="mine wants integer labels, found float32"):
        integers(np.float32([1.0]), reader="mine")


def test_masks_become_weights_of_each_value():
    values = jnp.ones((2, 3))
    assert weights_of({"labels": np.ones(2)}, values) is None
    given = {"mask": jnp.array([[0.5, 1.0, -1.0]] * 2), "row_mask": jnp.array([1.0, 0.0])}
    assert weights_of(given, values).tolist() == [[0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert weights_of({"row_mask": jnp.array([0.0, 1.0])}, values).tolist() == [[0] * 3, [1] * 3]


def test_what_does_not_count_is_zero_and_adds_nothing():
    weights, values = jnp.array([0.0, 2.0]), jnp.array([[np.nan], [3.0]])
    assert zeroed(values, weights).tolist() == [[0.0], [3.0]]
    assert [float(x) for x in summed(values[:, 0], weights)] == [6.0, 2.0]
    assert [float(x) for x in summed(values[1], None)] == [3.0, 1.0]
    assert zeroed(values, None) is values
