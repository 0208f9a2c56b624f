"""Arrays on the device, gathered inside the dispatch."""

import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine.batches import resident
from jaxtrain.engine.batches.resident import Resident, fits_on_device, gather
from jaxtrain.errors import CheckpointMismatchError


@pytest.fixture
def loader():
    return ArrayLoader({"x": np.arange(22, dtype=np.float32)}, batch_size=4, seed=1)


@pytest.mark.parametrize("last_batch", ["pad", "drop"])
def test_it_gathers_what_the_loader_gives(last_batch):
    loader = ArrayLoader(
        {"x": np.arange(22, dtype=np.float32)}, batch_size=4, seed=1, last_batch=last_batch
    )
    feed = Resident(loader)
    feed.begin(loader.start(), anew=True)
    expected = loader.batches()
    for _ in range(3 * loader.steps_per_epoch):
        portion = feed.take(1, None)
        batch, cursor = next(expected)
        found = gather(portion.data, portion.start)
        assert found.keys() == batch.keys()
        for name in batch:
            assert np.array_equal(found[name], batch[name])
            assert np.array_equal(portion.look(portion.start)[name], batch[name])
        assert feed.used(1) == cursor


def test_a_portion_ends_with_the_loaders_epoch(loader):
    feed = Resident(loader)
    feed.begin(loader.cursor_at(0, 4), anew=False)
    portion = feed.take(100, None)
    assert (portion.start, portion.length) == (4, 2)
    assert feed.take(1, None).length == 1  # taking moves nothing
    assert feed.used(1) == loader.cursor_at(0, 5)
    assert feed.take(100, None).start == 5
    assert feed.used(1) == loader.start(1)
    assert feed.take(100, None).length == 6


def test_the_next_epoch_is_prepared_while_the_device_works(loader, monkeypatch):
    feed = Resident(loader)
    feed.begin(loader.start(), anew=True)
    feed.take(6, None)
    feed.used(6)
    made = []
    real = type(loader).indices
    monkeypatch.setattr(type(loader), "indices", lambda s, e: made.append(e) or real(s, e))
    feed.get_ready()
    feed.get_ready()
    feed.take(3, None)
    assert made == [1]


def test_the_mask_is_transferred_once(loader):
    feed = Resident(loader)
    feed.begin(loader.start(), anew=True)
    first = feed.take(6, None).data["mask"]
    feed.used(6)
    assert feed.take(6, None).data["mask"] is first


def test_a_place_in_other_data_is_refused(loader):
    other = ArrayLoader({"x": np.zeros(22, np.float32)}, batch_size=4, seed=1)
    with pytest.raises(CheckpointMismatchError):
        Resident(loader).begin(other.start(), anew=False)


def test_large_data_does_not_stay_on_a_small_device(loader, monkeypatch):
    class Device:
        def memory_stats(self):
            return {"bytes_limit": 4 * 22 * 4}

    assert fits_on_device(loader)
    assert not fits_on_device([1, 2])
    monkeypatch.setattr(resident.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(resident.jax, "devices", lambda: [Device()])
    assert not fits_on_device(loader)  # a quarter of the memory is not enough
    monkeypatch.setattr(Device, "memory_stats", lambda self: {"bytes_limit": 4 * 22 * 4 + 1})
    assert fits_on_device(loader)
    monkeypatch.setattr(Device, "memory_stats", lambda self: None)
    assert fits_on_device(loader)
