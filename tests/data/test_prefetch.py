import threading

import jax
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, Loader, PrefetchLoader, prefetch_to_device
from jaxtrain.errors import CheckpointMismatchError, ConfigError


def plain(rows=22, **options):
    return ArrayLoader({"x": np.arange(rows)}, batch_size=4, **options)


def values(batches):
    return [np.asarray(batch["x"]).tolist() for batch in batches]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "jaxtrain-ahead"]


class Breaking:
    """A loader that raises instead of its third batch."""

    def __init__(self):
        self.inner = plain()
        self.steps_per_epoch = self.inner.steps_per_epoch
        self.cursor, self.restore = self.inner.cursor, self.inner.restore
        self.fingerprint = self.inner.fingerprint

    def __iter__(self):
        for number, batch in enumerate(self.inner):
            if number == 2:
                raise OSError("record 9 is broken")
            yield batch


@pytest.mark.parametrize("size", [1, 2, 50])
def test_same_batches_on_the_device(size):
    subject, reference = PrefetchLoader(plain(), size=size), plain()
    assert isinstance(subject, Loader)
    assert subject.steps_per_epoch == reference.steps_per_epoch
    assert subject.fingerprint() == reference.fingerprint()
    for _ in range(2):
        batches = list(subject)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batches))
        assert values(batches) == values(reference)
        assert subject.cursor() == reference.cursor()
    assert threads() == []


def test_cursor_counts_only_what_was_handed_out():
    subject = PrefetchLoader(plain(), size=3)
    assert subject.cursor()["batch"] == 0
    for number, _ in enumerate(subject, start=1):
        assert (subject.cursor()["epoch"], subject.cursor()["batch"]) == (0, number)
    assert subject.cursor()["epoch"] == 1


def test_reads_ahead_by_size_and_no_more():
    inner = plain(rows=80)
    subject = PrefetchLoader(inner, size=2)
    batches = iter(subject)
    next(batches)
    deadline = threading.Event()
    for _ in range(100):
        if inner.cursor()["batch"] == 3:
            break
        deadline.wait(0.02)
    deadline.wait(0.05)
    assert inner.cursor()["batch"] == 3
    batches.close()


def test_going_on_from_a_cursor():
    subject = PrefetchLoader(plain(), size=2)
    batches = iter(subject)
    next(batches)
    cursor = subject.cursor()
    rest = values(batches)
    for other in (PrefetchLoader(plain(), size=3), plain()):
        other.restore(cursor)
        assert values(other) == rest


def test_leaving_early_leaves_no_thread_and_loses_no_batch():
    subject = PrefetchLoader(plain(), size=3)
    batches = iter(subject)
    first = next(batches)
    assert len(threads()) == 1
    batches.close()
    assert threads() == []
    assert values([first, *subject]) == values(plain())


def test_a_newer_iteration_or_a_restore_ends_the_older():
    subject = PrefetchLoader(plain(), size=2)
    start = subject.cursor()
    older = iter(subject)
    next(older)
    assert len(values(subject)) == 5
    assert list(older) == []
    older = iter(subject)
    next(older)
    subject.restore(start)
    assert list(older) == []
    assert subject.cursor() == start
    assert threads() == []


def test_an_error_in_the_thread_comes_out_in_its_turn():
    subject = PrefetchLoader(Breaking(), size=4)
    batches = iter(subject)
    assert values([next(batches), next(batches)]) == values(plain())[:2]
    with pytest.raises(OSError, match="record 9 is broken"):
        next(batches)
    assert subject.cursor()["batch"] == 2
    assert threads() == []


def test_restore_refuses_what_the_loader_underneath_refuses():
    subject = PrefetchLoader(plain(), size=2)
    with pytest.raises(CheckpointMismatchError):
        subject.restore(plain(seed=1).cursor())


def test_size_0_and_the_cpu_pass_the_loader_through(monkeypatch):
    loader = plain()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert prefetch_to_device(loader, size=0) is loader
    assert isinstance(prefetch_to_device(loader, size=2), PrefetchLoader)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert prefetch_to_device(loader, size=2) is loader


def test_impossible_sizes():
    with pytest.raises(ConfigError, match="found -1"):
        prefetch_to_device(plain(), size=-1)
    with pytest.raises(ConfigError, match="found 0"):
        PrefetchLoader(plain(), size=0)
