import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.data import Dataset, fingerprint, split_indices
from jaxtrain.data.dataset import SPLIT_STREAM, shuffled
from jaxtrain.errors import ConfigError, DataError


def small(rows=10, **options):
    inputs = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return Dataset(inputs, np.arange(rows, dtype=np.int32) % 2, num_outputs=2, **options)


def test_arrays_are_read_only_views_without_a_copy():
    inputs, labels = np.zeros((2, 3), np.float32), np.zeros(2, np.int32)
    dataset = Dataset(inputs, labels, num_outputs=2)
    assert np.shares_memory(dataset.inputs, inputs)
    with pytest.raises(ValueError, match="read-only"):
        dataset.inputs[0] = 1
    inputs[0] = 1  # the caller's own array is as it was


def test_select_keeps_order_and_description():
    chosen = small(name="mine").select(np.array([4, 1]))
    assert chosen.inputs[:, 0].tolist() == [12, 3]
    assert chosen.labels.tolist() == [0, 1]
    assert (chosen.name, chosen.num_outputs, len(chosen)) == ("mine", 2, 2)


def test_split_is_a_partition_by_seed():
    dataset = small(100)
    rest, held_out = dataset.split(0.1, seed=3)
    assert (len(rest), len(held_out)) == (90, 10)
    rows = np.concatenate([rest.inputs, held_out.inputs])[:, 0]
    assert sorted(rows) == dataset.inputs[:, 0].tolist()
    assert held_out.fingerprint() == dataset.split(0.1, seed=3)[1].fingerprint()
    assert held_out.fingerprint() != dataset.split(0.1, seed=4)[1].fingerprint()


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 0.01])
def test_split_refuses_an_empty_part(fraction):
    with pytest.raises(ConfigError, match="validation_fraction"):
        split_indices(10, fraction, 0)


def test_split_by_nothing():
    kept, held_out = split_indices(5, 0.0, 0)
    assert kept.tolist() == [0, 1, 2, 3, 4]
    assert held_out.size == 0
    with pytest.raises(ConfigError, match="above 0"):
        small().split(0.0, seed=0)


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


def test_fingerprint_sees_values_shape_dtype_and_name():
    arrays = {"inputs": np.zeros((2, 3), np.float32), "labels": np.zeros(2, np.int32)}
    variants = [
        arrays,
        arrays | {"labels": np.array([0, 1], np.int32)},
        arrays | {"inputs": np.zeros((3, 2), np.float32)},
        arrays | {"inputs": np.zeros((2, 3), np.int32)},
        {"inputs": arrays["inputs"], "targets": arrays["labels"]},
    ]
    assert len({fingerprint(variant) for variant in variants}) == len(variants)
    assert fingerprint(dict(reversed(arrays.items()))) == fingerprint(arrays)
    strided = np.zeros((2, 6), np.float32)[:, ::2]
    assert fingerprint(arrays | {"inputs": strided}) == fingerprint(arrays)


def test_dataset_fingerprint_is_that_of_its_arrays():
    dataset = small()
    assert dataset.fingerprint() == fingerprint(dataset.arrays) == small().fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(3, np.int32)}, r"\(2, 3\) and labels of shape \(3,\)"),
        ({"inputs": np.zeros((0, 3)), "labels": np.zeros(0)}, "at least one row"),
        ({"num_outputs": 0}, "num_outputs must be 1 or more, found 0"),
        ({"task": "guessing"}, "'guessing'"),
        ({"label_names": ("a",)}, "expected 2 label names, found 1"),
    ],
)
def test_impossible_datasets(change, message):
    arguments = {"inputs": np.zeros((2, 3)), "labels": np.zeros(2), "num_outputs": 2} | change
    with pytest.raises(DataError, match=message):
        Dataset(**arguments)


def test_repr_tells_the_shapes_and_no_values():
    assert repr(small(name="d")) == (
        "Dataset('d', classification, inputs float32[10, 3], labels int32[10], num_outputs=2)"
    )
