"""Rows that stand in two sets."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.data import ArrayLoader, Dataset, LoaderRows, check_overlap, row_hashes, shared_rows


def dataset(inputs, labels=None, **options):
    labels = np.zeros(len(inputs), np.int32) if labels is None else labels
    return Dataset(np.asarray(inputs), np.asarray(labels), **options)


def normal(rows, seed=0, width=5):
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def only(**sets):
    (finding,) = check_overlap(sets)
    return finding


def test_a_file_that_is_train_and_test_is_found():
    """Finding C11: no word of it."""
    train = dataset(normal(40))
    finding = only(train=train, test=train.select(np.random.default_rng(0).permutation(40)))
    assert finding.name == "test overlap with train"
    assert not finding.ok
    assert "40 of 40 rows (100.0%) stand in train, too" in finding.detail
    assert "is it the same file?" in finding.detail


def test_new_rows_are_fine_and_a_few_old_ones_are_told():
    train, test = dataset(normal(40)), dataset(normal(10, 1))
    finding = only(train=train, test=test)
    assert finding.ok
    assert finding.detail == "0 of 10 rows (0.0%) stand in train, too"
    mixed = dataset(np.concatenate([normal(6, 1), normal(40)[7:11]]))
    finding = only(train=train, test=mixed)
    assert finding.ok
    assert finding.detail.startswith("4 of 10 rows (40.0%)")
    mixed = dataset(np.concatenate([normal(4, 1), normal(40)[7:13]]))
    assert not only(train=train, test=mixed).ok


def test_each_two_sets_are_compared():
    sets = {"train": dataset(normal(9)), "validation": dataset(normal(4, 1))}
    sets["test"] = dataset(np.concatenate([normal(4, 1), normal(1, 2)]))
    found = {finding.name: finding.ok for finding in check_overlap(sets)}
    assert found == {
        "validation overlap with train": True,
        "test overlap with train": True,
        "test overlap with validation": False,
    }


def test_a_row_is_inputs_and_label_to_the_last_bit():
    inputs, labels = normal(6), np.arange(6, dtype=np.int32)
    other_labels, other_inputs = labels.copy(), inputs.copy()
    other_labels[2] = 77
    other_inputs[4, 3] = np.nextafter(other_inputs[4, 3], np.float32(9))
    found = shared_rows(dataset(other_inputs, other_labels), dataset(inputs, labels))
    assert found.tolist() == [True, True, False, True, False, True]


def test_equal_rows_of_a_table_with_few_values_are_no_wonder():
    """Three columns of yes and no have eight different rows, whoever drew them."""
    draw = np.random.default_rng(0)
    train, test = (dataset(draw.integers(0, 2, (rows, 3)).astype(np.float32)) for rows in (90, 30))
    finding = only(train=train, test=test)
    assert finding.ok
    assert "30 of 30 rows (100.0%)" in finding.detail
    assert "so do 100.0% of train's own rows more than once" in finding.detail


def test_a_table_with_many_equal_rows_is_found_out_where_none_is_new():
    draw = np.random.default_rng(0)
    values = draw.integers(0, 12, (300, 2)).astype(np.float32)
    train, new = dataset(values[:200]), dataset(values[200:])
    natural = only(train=train, test=new)
    assert natural.ok
    assert shared_rows(new, train).mean() > 0.5
    assert not only(train=train, test=train.select(np.arange(100))).ok


def test_a_few_rows_more_than_expected_are_no_alarm():
    rows = normal(20)
    train = dataset(rows[[0, 0, 1, 1, 2, 3, 4, 5, 6, 7]])  # 40% of them stand there twice
    assert only(train=train, test=dataset(rows[2:12])).ok  # 60% of the rows, 40% new: of 60%
    assert not only(train=train, test=dataset(rows[0:11])).ok  # 73% of them, 27% new


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, -1.0, 0.5]), st.integers(-2, 2)), min_size=1),
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, -1.0, 0.5]), st.integers(-2, 2)), min_size=1),
)
def test_it_is_what_a_set_of_tuples_says(known, rows):
    def made(pairs):
        inputs, labels = zip(*pairs, strict=True)
        return dataset(np.array(inputs, np.float32)[:, None], np.array(labels, np.int32))

    found = shared_rows(made(rows), made(known))
    assert found.tolist() == [row in set(known) for row in rows]


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "float16", "float64", "bool"])
@pytest.mark.parametrize("shape", [(50,), (50, 3), (50, 4, 2, 1)])
def test_all_dtypes_and_shapes_have_hashes(dtype, shape):
    values = np.arange(np.prod(shape)).reshape(shape) % 2 if dtype == "bool" else None
    values = np.arange(np.prod(shape)).reshape(shape) if values is None else values
    if dtype == "uint8":
        values %= 251
    rows = dataset(values.astype(dtype))
    different = len(np.unique(rows.inputs.reshape(50, -1), axis=0))
    assert row_hashes(rows).dtype == np.uint64
    assert len(np.unique(row_hashes(rows))) == different
    np.testing.assert_array_equal(
        row_hashes(rows.select(np.arange(9, 3, -1))), row_hashes(rows)[9:3:-1]
    )


def test_rows_of_zeros_and_ones_have_hashes_of_their_own():
    """The words of 0.0 and 1.0 end in 23 zeros: a plain sum of products would keep few bits."""
    values = np.array(np.meshgrid(*[[0.0, 1.0]] * 14)).reshape(14, -1).T.astype(np.float32)
    hashes = row_hashes(dataset(values))
    assert len(np.unique(hashes)) == 2**14
    low = hashes & np.uint64(2**20 - 1)
    assert len(np.unique(low)) > 2**13


def test_equal_hashes_are_looked_at(monkeypatch):
    from jaxtrain.data import overlap

    monkeypatch.setattr(overlap, "row_hashes", lambda rows: np.zeros(len(rows), np.uint64))
    assert shared_rows(dataset(normal(3)), dataset(normal(1))).tolist() == [True, False, False]


def test_what_can_not_be_compared_is_passed_over():
    rows = dataset(normal(4))
    arrays = {"inputs": normal(4), "labels": np.zeros(4, np.int32)}
    streamed = LoaderRows(lambda **options: ArrayLoader(arrays, **options), num_outputs=2)
    assert check_overlap({"train": rows, "test": streamed}) == []
    for other in (
        dataset(normal(4, width=6)),
        dataset(normal(4).astype(np.float64)),
        dataset(normal(4), np.zeros((4, 1), np.int32)),
        dataset(normal(4), np.array(["a"] * 4, object)),
    ):
        assert check_overlap({"train": rows, "test": other}) == []
    empty = dataset(np.zeros((4, 0), np.float32))
    assert only(train=empty, test=empty.select(np.arange(2))).detail.startswith("2 of 2 rows")


def test_it_takes_no_second_copy_of_the_data():
    train, test = dataset(normal(20_000, width=400)), dataset(normal(5_000, 1, width=400))
    tracemalloc.start()
    try:
        check_overlap({"train": train, "test": test})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20  # of 40 MB
