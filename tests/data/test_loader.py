"""The contract of every loader, held by all of them alike."""

import gc
import itertools
import json

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.batch import ROW_MASK
from jaxtrain.data import ArrayLoader, GrainLoader, IndexedLoader, Loader, PrefetchLoader, one_epoch
from jaxtrain.errors import CheckpointMismatchError, ConfigError


class Rows:
    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return {"x": np.full(2, index, np.float32), "mask": np.arange(3) <= index}

    def fingerprint(self):
        return f"{self.length} rows"


def of_arrays(rows, **options):
    records = [Rows(rows)[i] for i in range(rows)]
    return ArrayLoader({k: np.stack([r[k] for r in records]) for k in ("x", "mask")}, **options)


def of_records(rows, **options):
    return GrainLoader(Rows(rows), **options)


def prefetched(rows, **options):
    return PrefetchLoader(of_arrays(rows, **options), size=2)


def prefetched_records(rows, **options):
    return PrefetchLoader(of_records(rows, **options), size=1)


KINDS = [of_arrays, prefetched, of_records, prefetched_records]
every_kind = pytest.mark.parametrize("kind", KINDS)


def plain(batch):
    return {name: np.asarray(array).tolist() for name, array in batch.items()}


def first(count, batches):
    """[(batch, cursor behind it)] in plain values."""
    taken = [(plain(batch), cursor) for batch, cursor in itertools.islice(batches, count)]
    batches.close()
    return taken


def kinds_of(batch):
    return {name: (leaf.shape, leaf.dtype) for name, leaf in batch.items()}


@every_kind
def test_it_is_a_loader(kind):
    subject = kind(10, batch_size=4)
    assert isinstance(subject, Loader)
    assert isinstance(subject, IndexedLoader) == (kind is of_arrays)
    assert (subject.batch_size, subject.steps_per_epoch, len(subject)) == (4, 3, 3)


@every_kind
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    shuffle=st.booleans(),
    last_batch=st.sampled_from(["pad", "drop"]),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
    data=st.data(),
)
def test_a_place_is_a_value(kind, rows, batch_size, shuffle, last_batch, seed, epoch, data):
    if last_batch == "drop":
        batch_size = min(batch_size, rows)
    options = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed, "last_batch": last_batch}
    subject = kind(rows, **options)
    steps = subject.steps_per_epoch
    whole = first(5 * steps, subject.batches())
    assert whole == first(5 * steps, subject.batches(subject.start()))

    # Each batch comes with the place behind it, which JSON knows; from there the rest goes on.
    at = data.draw(st.integers(0, 4 * steps))
    cursor = subject.start() if at == 0 else whole[at - 1][1]
    cursor = json.loads(json.dumps(cursor))
    assert first(steps, kind(rows, **options).batches(cursor)) == whole[at : at + steps]
    assert (cursor["epoch"], cursor["batch"]) == divmod(at, steps)

    # Looking changes nothing, for nobody: not for the one who looks, not for one under way.
    under_way = subject.batches(cursor)
    begun = [next(under_way) for _ in range(data.draw(st.integers(0, steps)))]
    next(iter(subject))
    subject.example()
    list(subject)
    next(subject.batches(cursor))
    seen = [(plain(batch), place) for batch, place in begun]
    assert seen + first(steps - len(begun), under_way) == whole[at : at + steps]

    # An epoch can be asked for; `for batch in loader` is the first one.
    batches = [batch for batch, _ in whole]
    assert [plain(b) for b in subject.epoch(epoch)] == batches[epoch * steps : (epoch + 1) * steps]
    assert [plain(b) for b in one_epoch(subject, epoch)] == [plain(b) for b in subject.epoch(epoch)]
    assert [plain(b) for b in subject] == [plain(b) for b in subject] == batches[:steps]
    start = subject.start(epoch)
    assert first(1, subject.batches(start)) == whole[epoch * steps : epoch * steps + 1]

    # The shapes are known without reading.
    assert all(kinds_of(batch) == kinds_of(subject.example()) for batch in subject)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in subject.example().values())


@every_kind
def test_two_at_once_see_all_of_their_batches(kind):
    subject = kind(10, batch_size=4, seed=1)
    whole = first(9, subject.batches())
    one, other = subject.batches(), subject.batches(whole[4][1])
    seen = [[], []]
    for _ in range(4):
        for which, batches in enumerate((one, other)):
            batch, cursor = next(batches)
            seen[which].append((plain(batch), cursor))
    assert seen == [whole[:4], whole[5:9]]
    assert [plain(b) for pair in zip(subject, subject, strict=True) for b in pair] == [
        whole[i][0] for i in (0, 0, 1, 1, 2, 2)
    ]


@every_kind
def test_each_epoch_has_an_order_of_its_own(kind):
    subject = kind(50, batch_size=50)
    orders = {str(plain(batch)["x"]) for batch, _ in itertools.islice(subject.batches(), 4)}
    assert len(orders) == 4
    unshuffled = kind(50, batch_size=50, shuffle=False)
    assert len({str(plain(b)) for b, _ in itertools.islice(unshuffled.batches(), 4)}) == 1


@every_kind
@pytest.mark.parametrize(
    "change",
    [{"rows": 11}, {"batch_size": 5}, {"seed": 1}, {"shuffle": False}, {"last_batch": "drop"}],
)
def test_a_cursor_of_other_data_or_options_is_refused_at_the_call(kind, change):
    options = {"rows": 10, "batch_size": 4}
    subject, other = kind(**options), kind(**options | change)
    with pytest.raises(CheckpointMismatchError) as caught:
        subject.batches(other.start())
    assert subject.fingerprint() in str(caught.value)
    assert other.fingerprint() in str(caught.value)
    option, value = next(iter(change.items()))
    assert f"{option}={value}" in other.fingerprint()


@every_kind
@pytest.mark.parametrize(
    "change",
    [{"batch": 4}, {"batch": -1}, {"epoch": None}, {"batch": 1.5}, {"epoch": True}, {"epoch": -1}],
)
def test_a_place_that_is_none_is_refused_at_the_call(kind, change):
    subject = kind(10, batch_size=4)
    with pytest.raises(CheckpointMismatchError, match="not a place in these data"):
        subject.batches(subject.start() | change)
    for cursor in ({}, [], "here", 3):
        with pytest.raises(CheckpointMismatchError):
            subject.batches(cursor)


@every_kind
def test_behind_the_last_batch_the_next_epoch_begins(kind):
    subject = kind(10, batch_size=4)
    old = subject.start() | {"batch": 3}  # as a cursor of version 0.1 says it
    assert first(2, subject.batches(old)) == first(2, subject.batches(subject.start(1)))


@every_kind
def test_there_is_no_epoch_before_the_first(kind):
    subject = kind(10, batch_size=4)
    with pytest.raises(ConfigError, match="-1"):
        subject.start(-1)
    with pytest.raises(ConfigError, match="-1"):
        subject.epoch(-1)


@every_kind
def test_a_mask_of_ones_own_is_no_row_mask(kind):
    subject = kind(5, batch_size=4, shuffle=False)
    one, two = subject
    assert plain(one)["mask"][:2] == [[True, False, False], [True, True, False]]
    assert plain(two)[ROW_MASK] == [1, 0, 0, 0]
    assert plain(two)["mask"] == [[True] * 3, *plain(one)["mask"][:3]]
    assert "mask" in kind(5, batch_size=4, last_batch="drop").example()


@every_kind
def test_an_iteration_that_was_dropped_leaves_the_loader_as_it_was(kind):
    subject = kind(10, batch_size=4)
    whole = [plain(batch) for batch in subject]
    for _ in range(3):
        next(iter(subject))
        gc.collect()
        assert [plain(batch) for batch in subject] == whole


def test_one_epoch_closes_what_it_reads_from():
    closed = []

    class Own:
        """A loader of somebody's own, whose batches are a class and no generator."""

        steps_per_epoch = 2

        def start(self, epoch=0):
            return {"at": epoch}

        def batches(self, cursor=None):
            return Batches(cursor["at"])

    class Batches:
        def __init__(self, at):
            self.at = at

        def __iter__(self):
            return self

        def __next__(self):
            self.at += 1
            return {"x": self.at - 1}, {"at": self.at}

        def close(self):
            closed.append(self.at)

    assert list(one_epoch(Own(), 5)) == [{"x": 5}, {"x": 6}]
    assert closed == [7]
    batches = one_epoch(Own())
    next(batches)
    batches.close()
    assert closed == [7, 1]
