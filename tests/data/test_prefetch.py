import gc
import itertools
import threading
import time

import jax
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, PrefetchLoader, prefetch_to_device
from jaxtrain.errors import CheckpointMismatchError, ConfigError


def plain(rows=22, **options):
    return ArrayLoader({"x": np.arange(rows)}, batch_size=4, **options)


def values(batches):
    return [np.asarray(batch["x"]).tolist() for batch in batches]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "jaxtrain-ahead"]


class Counting:
    """A loader that counts what it has made, and raises instead of one batch where told to."""

    def __init__(self, inner, broken=None):
        self.inner, self.broken, self.made, self.closed = inner, broken, 0, 0
        self.batch_size, self.steps_per_epoch = inner.batch_size, inner.steps_per_epoch
        self.fingerprint, self.start, self.example = inner.fingerprint, inner.start, inner.example

    def batches(self, cursor=None):
        return self._from(self.inner.batches(cursor))

    def _from(self, batches):
        try:
            for item in batches:
                if self.made == self.broken:
                    raise OSError("record 9 is broken")
                self.made += 1
                yield item
        finally:
            self.closed += 1


def test_same_batches_and_places_on_the_device():
    subject, reference = PrefetchLoader(plain(), size=50), plain()
    assert subject.fingerprint() == reference.fingerprint()
    one, other = subject.batches(), reference.batches()
    for (batch, cursor), (expected, place) in itertools.islice(zip(one, other, strict=True), 13):
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batch))
        assert values([batch]) == values([expected])
        assert cursor == place
    one.close()
    assert threads() == []


@pytest.mark.parametrize("size", [1, 2, 7])
def test_reads_ahead_by_size_and_no_more(size):
    inner = Counting(plain(rows=80))
    batches = PrefetchLoader(inner, size=size).batches()
    next(batches)
    until = time.monotonic() + 30
    while inner.made < 1 + size and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.02)
    assert inner.made == 1 + size
    batches.close()


def test_a_thread_for_each_iteration_from_its_first_batch_to_its_end():
    subject = PrefetchLoader(plain(), size=3)
    one, other = subject.batches(), iter(subject)
    assert threads() == []
    next(one)
    next(other)
    assert len(threads()) == 2
    one.close()
    assert len(threads()) == 1
    assert len(list(other)) == 5
    assert threads() == []
    third = subject.batches()
    next(third)
    del third
    gc.collect()
    assert threads() == []


def test_what_it_reads_from_is_closed_with_it():
    inner = Counting(plain())
    batches = iter(PrefetchLoader(inner, size=2))
    next(batches)
    batches.close()
    assert inner.closed == 1
    assert threads() == []


def test_ctrl_c_while_it_waits_leaves_no_thread(monkeypatch):
    subject = PrefetchLoader(plain(), size=1)
    batches = subject.batches()
    next(batches)

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxtrain.data.ahead.Ahead.__next__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert threads() == []


def test_batches_that_are_no_generator_are_closed_as_well():
    class Batches:
        """Somebody's own, with a file to close."""

        def __init__(self, items):
            self.items, self.closed = items, threading.Event()

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.items)

        def close(self):
            self.closed.set()

    inner = plain()
    own = Batches(inner.batches())
    inner.batches = lambda cursor=None: own
    batches = PrefetchLoader(inner, size=1).batches()
    next(batches)
    assert not own.closed.is_set()
    batches.close()
    assert own.closed.is_set()


def test_leaving_early_loses_no_batch():
    subject = PrefetchLoader(plain(), size=3)
    batches = subject.batches()
    first, cursor = next(batches)
    batches.close()
    rest = [batch for batch, _ in itertools.islice(subject.batches(cursor), 5)]
    assert values([first, *rest]) == values(plain())


def test_an_error_in_the_thread_comes_out_in_its_turn():
    subject = PrefetchLoader(Counting(plain(), broken=2), size=4)
    batches = iter(subject)
    assert values([next(batches), next(batches)]) == values(plain())[:2]
    with pytest.raises(OSError, match="record 9 is broken"):
        next(batches)
    assert threads() == []


def test_what_the_loader_underneath_refuses_is_refused_at_the_call():
    subject = PrefetchLoader(plain(), size=2)
    with pytest.raises(CheckpointMismatchError):
        subject.batches(plain(seed=1).start())
    assert threads() == []


def test_the_example_is_of_what_is_on_the_device():
    example = PrefetchLoader(plain(), size=1).example()
    assert example["x"].dtype == np.int32, "without x64 there is no int64 on a device"
    assert example["x"].shape == (4,)


def test_size_0_and_the_cpu_pass_the_loader_through(monkeypatch):
    loader = plain()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert prefetch_to_device(loader, size=0) is loader
    assert isinstance(prefetch_to_device(loader, size=2), PrefetchLoader)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert prefetch_to_device(loader, size=2) is loader


def test_impossible_sizes():
    with pytest.raises(ConfigError, match=r"size: .* found -1"):
        prefetch_to_device(plain(), size=-1)
    with pytest.raises(ConfigError, match=r"size: .* found 0"):
        PrefetchLoader(plain(), size=0)
