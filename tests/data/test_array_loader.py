import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.batch import ROW_MASK, batch_size, full_mask
from jaxtrain.data import ArrayLoader, Dataset, IndexedLoader
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError


def loader(rows=10, batch_size=4, **options):
    """Each row's input is its own number, so that batches say which rows they hold."""
    numbers = np.arange(rows)
    dataset = Dataset(
        numbers.astype(np.float32)[:, None], numbers.astype(np.int32), num_outputs=rows
    )
    return ArrayLoader(dataset, batch_size=batch_size, **options)


def rows_of(batch):
    real = batch[ROW_MASK] == 1 if ROW_MASK in batch else slice(None)
    return batch["labels"][real].tolist()


def test_it_offers_its_arrays():
    assert isinstance(loader(), IndexedLoader)


def test_pad_gives_every_row_once_and_one_shape():
    subject = loader()
    batches = list(subject)
    assert len(batches) == subject.steps_per_epoch == 3
    assert sorted(row for batch in batches for row in rows_of(batch)) == list(range(10))
    for batch in batches:
        assert batch["inputs"].shape == (4, 1)
        assert batch["labels"].dtype == np.int32
        assert batch[ROW_MASK].shape == (4,)
        assert batch[ROW_MASK].dtype == np.float32
        assert (batch["inputs"][:, 0] == batch["labels"]).all()
    assert [batch[ROW_MASK].sum() for batch in batches] == [4, 4, 2]


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
    assert batch[ROW_MASK].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
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
        assert (batch.get(ROW_MASK, np.ones(4)) == real).all()


def test_indices_are_the_batches_of_any_epoch():
    subject = loader()
    for epoch in range(3):
        indices, _ = subject.indices(epoch)
        assert [b["labels"].tolist() for b in subject.epoch(epoch)] == indices.tolist()


def test_epochs_by_hand_are_those_of_a_run():
    subject = loader()
    by_hand = [rows_of(batch) for epoch in range(3) for batch in subject.epoch(epoch)]
    assert by_hand == [rows_of(batch) for batch, _ in itertools.islice(subject.batches(), 9)]
    assert by_hand[:3] != by_hand[3:6]


def test_s1_looking_at_a_batch_loses_no_row():
    subject = loader()
    next(iter(subject))
    for epoch in range(3):
        seen = [row for batch in subject.epoch(epoch) for row in rows_of(batch)]
        assert sorted(seen) == list(range(10))


def test_reordered_data_are_other_data():
    arrays = {"x": np.arange(6)}
    cursor = ArrayLoader(arrays, batch_size=2).start()
    with pytest.raises(CheckpointMismatchError):
        ArrayLoader({"x": arrays["x"][::-1]}, batch_size=2).batches(cursor)


def test_r3_a_mask_of_tokens_composes_with_the_mask_of_rows():
    tokens = np.tril(np.ones((5, 3), np.float32))
    subject = ArrayLoader({"x": np.arange(5), "mask": tokens}, batch_size=3, shuffle=False)
    first, last = subject
    assert first["mask"].tolist() == tokens[:3].tolist()
    assert batch_size(last) == 3
    assert full_mask(last).tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


def test_data_are_hashed_for_places_alone_and_once(monkeypatch):
    calls = []
    monkeypatch.setattr("jaxtrain.data.array_loader.fingerprint", lambda a: calls.append(a) or "")
    subject = ArrayLoader({"x": np.arange(6)}, batch_size=2)
    list(subject)
    list(subject.epoch(1))
    subject.example()
    assert calls == []
    for _ in range(2):
        next(subject.batches(subject.start()))
    assert len(calls) == 1


def test_the_example_needs_no_rows_to_be_read():
    subject = ArrayLoader({"x": np.ones((3, 2, 5), np.float16)}, batch_size=4)
    example = subject.example()
    assert (example["x"].shape, example["x"].dtype) == ((4, 2, 5), np.float16)
    assert (example[ROW_MASK].shape, example[ROW_MASK].dtype) == ((4,), np.float32)
    assert set(ArrayLoader(subject.arrays, batch_size=2, last_batch="drop").example()) == {"x"}


def test_arrays_by_name():
    subject = ArrayLoader({"a": np.arange(4), "b": np.ones((4, 2))}, batch_size=2, shuffle=False)
    first, _ = subject
    assert set(first) == {"a", "b", ROW_MASK}
    assert first["b"].shape == (2, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "at least one array"),
        ({"a": np.ones(2), "b": np.ones(3)}, r"\{'a': 2, 'b': 3\}"),
        ({ROW_MASK: np.ones(2)}, "'row_mask' is the loader's own"),
        ({"a": [1, 2]}, r"found \{'a': 'list'\}: convert with np.asarray"),
        ({"a": np.ones(())}, r"\['a'\] have no axis"),
        ({"a": np.ones((0, 3))}, "at least one row"),
    ],
)
def test_impossible_arrays(arrays, message):
    with pytest.raises(DataError, match=message):
        ArrayLoader(arrays, batch_size=2)


@pytest.mark.parametrize("data", [(np.ones(2), np.ones(2)), np.ones(2), None])
def test_what_has_no_names(data):
    with pytest.raises(DataError, match=f"found a {type(data).__name__}; write"):
        ArrayLoader(data, batch_size=1)


def test_a_mapping_that_changes_later_changes_nothing():
    arrays = {"x": np.arange(4)}
    subject, other = ArrayLoader(arrays, batch_size=2), ArrayLoader(dict(arrays), batch_size=2)
    arrays["y"] = np.arange(4)
    assert subject.fingerprint() == other.fingerprint()
    assert set(next(iter(subject))) == {"x", ROW_MASK}


def test_arrays_of_any_kind_pass_through_as_they_are():
    arrays = {
        "half": jnp.arange(4, dtype=jnp.bfloat16),
        "jax": jnp.arange(4),
        "names": np.array(["a", "b", "c", "d"]),
        "big": np.arange(4, dtype=np.int64) + 2**40,
    }
    subject = ArrayLoader(arrays, batch_size=2, shuffle=False, last_batch="drop")
    first, _ = subject
    for name, array in arrays.items():
        assert first[name].dtype == array.dtype
        assert first[name].tolist() == array[:2].tolist()
    assert len(subject.fingerprint()) > 64
    assert subject.batches(subject.start())


@pytest.mark.parametrize("option", [{"batch_size": 0}, {"seed": -1}, {"last_batch": "keep"}])
def test_impossible_options(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        loader(**option)


def test_batches_are_the_consumers_own():
    subject = loader(shuffle=False)
    first = next(iter(subject))
    first["inputs"][:] = -1
    assert subject.arrays["inputs"][0, 0] == 0
