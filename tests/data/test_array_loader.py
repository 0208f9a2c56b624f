import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.data import ArrayLoader, Dataset, Loader
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError


def loader(rows=10, batch_size=4, **options):
    """Each row's input is its own number, so that batches say which rows they hold."""
    numbers = np.arange(rows)
    dataset = Dataset(
        numbers.astype(np.float32)[:, None], numbers.astype(np.int32), num_outputs=rows
    )
    return ArrayLoader(dataset, batch_size=batch_size, **options)


def rows_of(batch):
    real = batch["mask"] == 1 if "mask" in batch else slice(None)
    return batch["labels"][real].tolist()


def test_it_is_a_loader():
    assert isinstance(loader(), Loader)


def test_pad_gives_every_row_once_and_one_shape():
    subject = loader()
    batches = list(subject)
    assert len(batches) == subject.steps_per_epoch == 3
    assert sorted(row for batch in batches for row in rows_of(batch)) == list(range(10))
    for batch in batches:
        assert batch["inputs"].shape == (4, 1)
        assert batch["labels"].dtype == np.int32
        assert batch["mask"].shape == (4,)
        assert batch["mask"].dtype == np.float32
        assert (batch["inputs"][:, 0] == batch["labels"]).all()
    assert [batch["mask"].sum() for batch in batches] == [4, 4, 2]


def test_padding_repeats_the_first_rows_of_the_epoch():
    first, _, last = loader()
    assert last["labels"][2:].tolist() == first["labels"][:2].tolist()


def test_drop_leaves_the_rest_out_and_has_no_mask():
    subject = loader(last_batch="drop")
    batches = list(subject)
    assert len(batches) == subject.steps_per_epoch == 2
    assert all(set(batch) == {"inputs", "labels"} for batch in batches)
    # Another epoch leaves other rows out.
    left_out = {frozenset(range(10)).difference(subject.order(epoch)[:8]) for epoch in range(5)}
    assert len(left_out) > 1


@pytest.mark.parametrize("last_batch", ["pad", "drop"])
def test_rows_that_fill_every_batch(last_batch):
    subject = loader(rows=8, last_batch=last_batch)
    assert sorted(row for batch in subject for row in rows_of(batch)) == list(range(8))
    assert subject.steps_per_epoch == 2


def test_batch_larger_than_the_data():
    (batch,) = loader(rows=3, batch_size=8, shuffle=False)
    assert batch["labels"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert batch["mask"].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    with pytest.raises(ConfigError, match="8 is more than the 3 rows"):
        loader(rows=3, batch_size=8, last_batch="drop")


def test_without_shuffling_the_order_is_that_of_the_arrays():
    subject = loader(shuffle=False)
    for _ in range(2):
        assert [row for batch in subject for row in rows_of(batch)] == list(range(10))


def test_order_depends_on_seed_and_epoch_alone():
    subject = loader(rows=100)
    list(subject)
    assert (subject.order(0) == loader(rows=100).order(0)).all()
    assert (subject.order(0) != subject.order(1)).any()
    assert (subject.order(0) != loader(rows=100, seed=1).order(0)).any()


@pytest.mark.parametrize("last_batch", ["pad", "drop"])
def test_indices_are_the_batches(last_batch):
    subject = loader(last_batch=last_batch)
    indices, mask = subject.indices(0)
    assert (indices.dtype, mask.dtype) == (np.int32, np.float32)
    batches = list(subject)
    assert indices.shape == mask.shape == (len(batches), 4)
    for rows, real, batch in zip(indices, mask, batches, strict=True):
        assert (subject.arrays["labels"][rows] == batch["labels"]).all()
        assert (batch.get("mask", np.ones(4)) == real).all()


def test_cursor_counts_batches_handed_out():
    subject = loader()
    seen = []
    for _ in subject:
        cursor = subject.cursor()
        seen.append((cursor["epoch"], cursor["batch"]))
    assert seen == [(0, 1), (0, 2), (0, 3)]
    assert (subject.cursor()["epoch"], subject.cursor()["batch"]) == (1, 0)


@given(
    rows=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    stop=st.integers(0, 40),
    shuffle=st.booleans(),
)
def test_going_on_from_a_cursor_gives_the_same_batches(rows, batch_size, stop, shuffle):
    def stream(subject, epochs):
        for _ in range(epochs):
            yield from subject

    options = {"rows": rows, "batch_size": batch_size, "shuffle": shuffle, "seed": 5}
    whole = [batch["labels"].tolist() for batch in stream(loader(**options), 3)]
    stop = min(stop, len(whole) - 1)
    first = loader(**options)
    batches = stream(first, 3)
    for _ in range(stop):
        next(batches)
    cursor = json.loads(json.dumps(first.cursor()))

    second = loader(**options)
    second.restore(cursor)
    rest = [batch["labels"].tolist() for batch in stream(second, 3 - cursor["epoch"])]
    assert rest == whole[stop:]


def test_behind_the_last_batch_the_epoch_has_nothing_left():
    subject = loader()
    batches = iter(subject)
    for _ in range(3):
        next(batches)
    cursor = subject.cursor()
    resumed = loader()
    resumed.restore(cursor)
    assert list(resumed) == []
    assert resumed.cursor()["epoch"] == 1


def test_leaving_the_loop_and_coming_back_goes_on():
    subject = loader()
    first = next(iter(subject))
    rest = list(subject)
    assert sorted(row for batch in [first, *rest] for row in rows_of(batch)) == list(range(10))


def test_a_newer_iteration_or_a_restore_ends_the_older():
    subject = loader()
    start = subject.cursor()
    older = iter(subject)
    next(older)
    assert len(list(subject)) == 2
    assert list(older) == []
    assert subject.cursor()["epoch"] == 1
    older = iter(subject)
    next(older)
    subject.restore(start)
    assert list(older) == []
    assert subject.cursor() == start


@pytest.mark.parametrize(
    "change",
    [{"rows": 11}, {"batch_size": 5}, {"seed": 1}, {"shuffle": False}, {"last_batch": "drop"}],
)
def test_restore_refuses_other_data_and_options_and_shows_both(change):
    subject, other = loader(), loader(**change)
    with pytest.raises(CheckpointMismatchError) as caught:
        subject.restore(other.cursor())
    assert subject.fingerprint() in str(caught.value)
    assert other.fingerprint() in str(caught.value)
    option, value = next(iter(change.items()))
    assert f"{option}={value}" in other.fingerprint()


def test_restore_refuses_reordered_data():
    arrays = {"x": np.arange(6)}
    cursor = ArrayLoader(arrays, batch_size=2).cursor()
    with pytest.raises(CheckpointMismatchError):
        ArrayLoader({"x": arrays["x"][::-1]}, batch_size=2).restore(cursor)


@pytest.mark.parametrize(
    "change", [{"batch": 4}, {"batch": -1}, {"epoch": None}, {"batch": 1.5}, {"epoch": True}]
)
def test_restore_refuses_a_place_that_is_none(change):
    subject = loader()
    with pytest.raises(CheckpointMismatchError, match="not a place in these data"):
        subject.restore(subject.cursor() | change)
    with pytest.raises(CheckpointMismatchError):
        subject.restore({})


def test_arrays_by_name():
    subject = ArrayLoader({"a": np.arange(4), "b": np.ones((4, 2))}, batch_size=2, shuffle=False)
    first, _ = subject
    assert set(first) == {"a", "b", "mask"}
    assert first["b"].shape == (2, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "at least one array"),
        ({"a": np.ones(2), "b": np.ones(3)}, r"\{'a': 2, 'b': 3\}"),
        ({"mask": np.ones(2)}, "'mask' is the loader's own"),
        ({"a": np.ones(())}, r"\['a'\] have no axis"),
        ({"a": np.ones((0, 3))}, "at least one row"),
    ],
)
def test_impossible_arrays(arrays, message):
    with pytest.raises(DataError, match=message):
        ArrayLoader(arrays, batch_size=2)


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"seed": -1}, {"last_batch": "keep"}])
def test_impossible_options(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        loader(**option)


def test_batches_are_the_consumers_own():
    subject = loader(shuffle=False)
    first = next(iter(subject))
    first["inputs"][:] = -1
    assert subject.arrays["inputs"][0, 0] == 0
