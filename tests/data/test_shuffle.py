import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.data import split_indices
from jaxtrain.data.shuffle import SPLIT_STREAM, shuffled
from jaxtrain.errors import ConfigError


@given(st.integers(1, 300), st.integers(0, 2**31 - 1), st.integers(0, 1000))
def test_shuffled_is_a_permutation_and_repeats(length, seed, epoch):
    order = shuffled(length, seed, epoch)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(length))
    assert (order == shuffled(length, seed, epoch)).all()


def test_shuffled_never_changes():
    # A resumed run depends on these bits, on every platform and NumPy version.
    assert shuffled(10, 7, 3).tolist() == [2, 5, 9, 7, 3, 0, 6, 8, 4, 1]
    digest = hashlib.sha256(shuffled(60_000, 0, 1).astype("<i4")).hexdigest()
    assert digest == "98bf1ae6ad74782651568cc464dfc88dff36121ede8417a969332fbab10dc792"


def test_shuffled_differs_by_seed_epoch_and_use():
    orders = {tuple(shuffled(50, *key)) for key in [(0, 0), (1, 0), (0, 1), (0, SPLIT_STREAM)]}
    assert len(orders) == 4


def test_shuffled_is_uniform():
    counts = np.zeros((5, 5))
    for epoch in range(4000):
        counts[np.arange(5), shuffled(5, 0, epoch)] += 1
    # 800 expected in each cell, standard deviation 25.
    assert np.abs(counts - 800).max() < 125


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 0.01])
def test_split_refuses_an_empty_part(fraction):
    with pytest.raises(ConfigError, match=f"hold out: .*{fraction}"):
        split_indices(10, fraction, 0)


def test_split_by_nothing():
    kept, held_out = split_indices(5, 0.0, 0)
    assert kept.tolist() == [0, 1, 2, 3, 4]
    assert held_out.size == 0


def test_a_split_never_changes():
    # A run that goes on depends on these bits as well.
    kept, held_out = split_indices(10, 0.3, 7)
    assert held_out.tolist() == [5, 6, 9]
    assert kept.tolist() == [0, 1, 2, 3, 4, 7, 8]


def test_a_split_shares_its_bits_with_no_epoch():
    for count in (1, 20, 99):
        _, held_out = split_indices(100, count / 100, 3)
        assert held_out.tolist() == sorted(shuffled(100, 3, SPLIT_STREAM)[:count].tolist())
    assert SPLIT_STREAM == 2**63, "no epoch has so high a number"
    _, held_out = split_indices(100, 0.5, 3)
    for epoch in range(50):
        # Half of them stand in the first half of an epoch's order, as chance has it.
        shared = len(set(held_out.tolist()) & set(shuffled(100, 3, epoch)[:50].tolist()))
        assert 10 < shared < 40
