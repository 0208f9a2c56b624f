import dataclasses
import pickle

import numpy as np
import pytest

from jaxtrain.data.epoch_order import EpochOrder
from jaxtrain.data.shuffle import shuffled
from jaxtrain.errors import ConfigError


def order(length=10, **options):
    defaults = {"batch_size": 4, "shuffle": True, "seed": 0, "last_batch": "pad"}
    return EpochOrder(length, **defaults | options)


def test_it_is_a_value():
    assert order() == order()
    assert hash(order()) == hash(order())
    assert pickle.loads(pickle.dumps(order())) == order()
    with pytest.raises(dataclasses.FrozenInstanceError):
        order().seed = 1


def test_the_order_is_that_of_seed_and_epoch():
    # A run that goes on depends on these bits: epoch 0 is stream 0, epoch 1 is stream 1.
    for epoch in (0, 1, 7):
        assert order(100, seed=3).order(epoch).tolist() == shuffled(100, 3, epoch).tolist()
    assert order(seed=7).order(3).tolist() == [2, 5, 9, 7, 3, 0, 6, 8, 4, 1]
    assert order(shuffle=False).order(5).tolist() == list(range(10))


def test_padding_repeats_the_first_rows_and_is_masked():
    indices, mask = order(shuffle=False).indices(0)
    assert indices.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]]
    assert (indices.dtype, mask.dtype) == (np.int32, np.float32)
    shuffled_indices, _ = order().indices(2)
    assert shuffled_indices.reshape(-1)[:10].tolist() == order().order(2).tolist()


def test_drop_leaves_the_rest_out():
    indices, mask = order(shuffle=False, last_batch="drop").indices(0)
    assert indices.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert mask.min() == 1


@pytest.mark.parametrize(
    ("length", "last_batch", "steps"),
    [(8, "pad", 2), (8, "drop", 2), (9, "pad", 3), (9, "drop", 2), (1, "pad", 1)],
)
def test_steps_per_epoch(length, last_batch, steps):
    assert order(length, last_batch=last_batch).steps_per_epoch == steps
    assert order(length, last_batch=last_batch).masked == (last_batch == "pad")


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"seed": -1}, {"last_batch": "keep"}])
def test_impossible_options(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        order(**option)


@pytest.mark.parametrize("shuffle", [True, False])
def test_epochs_count_from_0(shuffle):
    with pytest.raises(ConfigError, match="found -1"):
        order(shuffle=shuffle).indices(-1)
