import numpy as np
import pytest

from jaxtrain.data.stratified import TEST_STREAM, VALIDATION_STREAM, split_by_class
from jaxtrain.errors import ConfigError

LABELS = np.repeat([0, 1, 2, 3], [100, 50, 3, 1])


def split(fraction=0.2, seed=0, stream=TEST_STREAM, labels=LABELS):
    return split_by_class(labels, fraction, seed, stream=stream)


def test_each_class_gives_its_share_and_none_all_it_has():
    kept, held_out = split()
    assert np.bincount(LABELS[held_out], minlength=4).tolist() == [20, 10, 1, 0]
    assert np.bincount(LABELS[kept], minlength=4).tolist() == [80, 40, 2, 1]
    assert sorted([*kept, *held_out]) == list(range(len(LABELS)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held_out) > 0).all()
    assert np.bincount(LABELS[split(0.99)[0]]).tolist() == [1, 1, 1, 1]


def test_the_same_arguments_the_same_rows_and_other_rows_by_seed_and_use():
    drawn = [split(seed=seed, stream=s)[1].tolist() for seed in (0, 1) for s in (TEST_STREAM, 5)]
    assert drawn[0] == split()[1].tolist()
    assert len({tuple(rows) for rows in drawn}) == 4
    assert TEST_STREAM != VALIDATION_STREAM
    # Pinned: a run that is continued must find its rows again.
    assert split(0.04)[1].tolist() == [18, 23, 45, 88, 121, 135, 150]


def test_nothing_is_held_out_of_a_share_of_0():
    kept, held_out = split(0.0)
    assert kept.tolist() == list(range(len(LABELS)))
    assert held_out.size == 0


def test_a_share_that_can_not_be_held_out():
    with pytest.raises(ConfigError, match="one of each class, is none"):
        split(labels=np.arange(5))
    with pytest.raises(ConfigError, match="0 <= share < 1"):
        split(1.0)
