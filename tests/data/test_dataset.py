import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, Dataset, Rows, fingerprint
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


def test_its_fingerprint_is_that_of_its_arrays():
    dataset = small()
    assert dataset.fingerprint() == fingerprint(dataset.arrays) == small().fingerprint()


def test_it_is_not_split_by_nothing():
    with pytest.raises(ConfigError, match="above 0"):
        small().split(0.0, seed=0)


def test_it_is_rows_that_make_their_loader():
    dataset = small()
    assert isinstance(dataset, Rows)
    options = {"batch_size": 3, "shuffle": False, "seed": 2, "last_batch": "drop"}
    loader = dataset.loader(**options)
    assert isinstance(loader, ArrayLoader)
    assert loader.fingerprint() == ArrayLoader(dataset, **options).fingerprint()
    assert dataset.loader(batch_size=3).fingerprint() == (
        ArrayLoader(dataset, batch_size=3).fingerprint()
    )
