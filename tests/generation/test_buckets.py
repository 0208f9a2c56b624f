"""Buckets: what is filled up, and to what."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.generation.buckets import bucket, padded


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 1000, 1024, 1025])
def test_it_holds_the_length_and_less_than_half_of_it_does_not(length):
    found = bucket(length)
    assert length <= found
    assert found == 16 or found // 2 < length


def test_there_are_few():
    assert len({bucket(length) for length in range(1, 4097)}) == 9


def test_rows_are_filled_on_the_right():
    rows = [np.array([5, 6], np.int64), np.array([7], np.int32)]
    filled, lengths = padded(rows, width=4)
    assert filled.tolist() == [[5, 6, 0, 0], [7, 0, 0, 0]]
    assert lengths.tolist() == [2, 1]
    assert filled.dtype == lengths.dtype == np.int32
