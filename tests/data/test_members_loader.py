"""Batches of many runs at once."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, IndexedMembers, MembersLoader, members_loader
from jaxtrain.errors import CheckpointMismatchError, ConfigError


def _arrays(rows, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, 3)).astype(np.float32)
    return {"inputs": inputs, "labels": rng.integers(0, 2, rows).astype(np.int32)}


def _loaders(parts, **options):
    return [ArrayLoader(part, batch_size=4, seed=m, **options) for m, part in enumerate(parts)]


def _splits():
    """Three members, each of which holds back other rows of the same ones; two rows are equal."""
    whole = _arrays(12)
    for array in whole.values():
        array[5] = array[2]
    keep = [np.delete(np.arange(12), out) for out in ([0, 1], [4, 5], [11, 2])]
    return whole, [{n: a[rows] for n, a in whole.items()} for rows in keep]


def test_each_member_has_its_own_batches():
    _, parts = _splits()
    loaders = _loaders(parts)
    loader = members_loader(loaders)
    assert isinstance(loader, IndexedMembers)
    for epoch in (0, 1):
        for found, *expected in zip(
            loader.epoch(epoch), *(one.epoch(epoch) for one in loaders), strict=True
        ):
            for name, array in found.items():
                np.testing.assert_array_equal(array, np.stack([batch[name] for batch in expected]))
    assert {n: x.shape for n, x in loader.example().items()} == {
        n: x.shape for n, x in next(iter(loader)).items()
    }
    assert (loader.batch_size, len(loader)) == (4, 3)


def test_a_row_is_in_memory_once_and_found_again():
    whole, parts = _splits()
    loaders = _loaders(parts)
    loader = members_loader(loaders)
    assert len(loader.arrays["inputs"]) == 11  # twelve, of which two are equal
    indices, mask = loader.indices(1)
    assert indices.shape == mask.shape == (3, 3, 4)
    for m, one in enumerate(loaders):
        rows, _ = one.indices(1)
        for name in whole:
            np.testing.assert_array_equal(loader.arrays[name][indices[m]], one.arrays[name][rows])


def test_who_all_read_the_same_have_one_loader():
    arrays = _arrays(8)
    same = [ArrayLoader(arrays, batch_size=4, seed=0) for _ in range(3)]
    assert members_loader(same) is same[0]
    other = members_loader(_loaders([arrays, arrays]))
    assert other.arrays["inputs"] is arrays["inputs"]


def test_a_place_is_that_of_these_members():
    _, parts = _splits()
    loader = members_loader(_loaders(parts))
    stream = loader.batches()
    for _ in range(4):
        _, place = next(stream)
    assert loader.position(place) == (1, 1)
    assert place == loader.cursor_at(1, 1)
    np.testing.assert_array_equal(
        next(loader.batches(place))[0]["inputs"], next(stream)[0]["inputs"]
    )
    fewer = members_loader(_loaders(parts)[:2])
    for refuse in (fewer.position, fewer.batches):
        with pytest.raises(CheckpointMismatchError, match="data of other members"):
            refuse(place)
    assert fewer.fingerprint() != loader.fingerprint()


def test_epochs_of_other_lengths_are_refused():
    with pytest.raises(ConfigError, match="expected epochs of one length and shape"):
        members_loader(_loaders([_arrays(8), _arrays(20)]))


def test_any_loaders_may_be_put_together():
    _, parts = _splits()
    loaders = _loaders(parts)
    plain = MembersLoader(loaders)
    for a, b in zip(plain, members_loader(loaders), strict=True):
        np.testing.assert_array_equal(a["inputs"], b["inputs"])
    assert plain.of_one().keys() == plain.example().keys()
