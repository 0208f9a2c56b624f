"""Batches of any loader, put together ahead of their use."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.engine.batches import stacked
from jaxtrain.engine.batches.door import as_loader
from jaxtrain.engine.batches.stacked import LARGEST, LONGEST, Stacked, pick, shapes_of


def numbers(n, size=2):
    return [np.full(size, i, np.float32) for i in range(n)]


def drawn(feed, limit=10**6, wanted=None, most=10**6):
    """What the feed gives: for each portion the first number of each batch, and its stack size."""
    portions = []
    while len(portions) < most and (portion := feed.take(limit, wanted)) is not None:
        whole = np.asarray(portion.data)
        rows = whole[portion.start : portion.start + portion.length, 0].tolist()
        feed.used(portion.length)
        portions.append((rows, len(whole)))
    return portions


def test_few_batches_go_one_by_one_and_many_together():
    """P1: nothing is padded; there are two sizes of stack."""
    feed = Stacked(as_loader(numbers(200)))
    feed.begin(None, anew=True)
    portions = drawn(feed)
    assert [row for rows, _ in portions for row in rows] == list(range(200))
    sizes = [size for _, size in portions]
    assert set(sizes) == {1, LONGEST}
    assert sizes[: LONGEST // 2] == [1] * (LONGEST // 2)
    assert all(len(rows) == size for rows, size in portions)


def test_a_short_epoch_is_never_stacked():
    feed = Stacked(as_loader(numbers(10)))
    feed.begin(None, anew=True)
    assert [size for _, size in drawn(feed, wanted=10)] == [1] * 10


def test_large_batches_are_not_copied():
    large = [np.ones(LARGEST // 4 + 1, np.float32) for _ in range(100)]
    feed = Stacked(as_loader(large))
    feed.begin(None, anew=True)
    for batch in large:
        portion = feed.take(64, None)
        assert portion.data.shape[0] == 1
        assert np.shares_memory(portion.data, batch)
        feed.used(1)


def test_shapes_in_turn_go_one_by_one():
    batches = [np.full(2 + i % 2, i, np.float32) for i in range(100)]
    feed = Stacked(as_loader(batches))
    feed.begin(None, anew=True)
    portions = drawn(feed)
    assert [rows for rows, _ in portions] == [[i] for i in range(100)]


def test_a_plain_iterable_is_not_read_beyond_the_epoch():
    taken = []

    def batches():
        for batch in numbers(100):
            taken.append(1)
            yield batch

    feed = Stacked(as_loader(batches()))
    feed.begin(None, anew=True)
    for left in range(5, 0, -1):
        feed.take(1, left)
        feed.used(1)
    assert len(taken) == 5


def test_limits_cut_a_stack():
    feed = Stacked(as_loader(numbers(200)))
    feed.begin(None, anew=True)
    drawn(feed, most=LONGEST // 2)
    lengths = []
    for _ in range(8):
        lengths.append(feed.take(10, None).length)
        feed.used(lengths[-1])
    assert lengths == [10] * 6 + [4] + [10]
    assert feed.take(3, None).length == 3  # what was taken and not used comes again
    assert feed.take(10, None).start == 10


def test_two_compilations_for_each_shape():
    traced = []

    def step(state, batch):
        traced.append(1)
        return state + batch.sum(), {}

    engine = Engine(step, jnp.float32(0), form="fused")
    engine.run(numbers(300), max_epochs=1)
    before = len(traced)
    told = []
    engine.attach_handler(Events.RECOMPILED, lambda engine, what: told.append(what))
    engine.run(numbers(300), max_epochs=3)
    assert (len(traced), engine.compilations, told) == (before, 1, [])
    assert float(engine.state.train_state) == 3 * 2 * sum(range(300))


def test_a_loader_is_read_ahead_and_the_cursor_is_that_of_the_consumer():
    loader = ArrayLoader({"x": np.arange(1000, dtype=np.float32)}, batch_size=4, shuffle=False)
    feed = Stacked(loader)
    feed.begin(loader.start(), anew=True)
    place = loader.start()
    for number in range(120):
        portion = feed.take(1, None)
        batch = pick(portion.data, portion.start)
        assert batch["x"].tolist() == [4 * number + i for i in range(4)]
        place = feed.used(1)
    assert loader.position(place) == (0, 120)
    feed.close()
    assert "jaxtrain-ahead" not in [t.name for t in threading.enumerate()]
    feed.begin(place, anew=False)  # what was ready is read again
    assert np.asarray(pick(feed.take(1, None).data, 0)["x"])[0] == 480
    feed.close()


def test_it_goes_back_to_a_place():
    loader = ArrayLoader({"x": np.arange(40, dtype=np.float32)}, batch_size=4, shuffle=False)
    feed = Stacked(loader)
    feed.begin(loader.start(), anew=True)
    for _ in range(7):
        feed.take(1, None)
        feed.used(1)
    feed.begin(loader.cursor_at(0, 2), anew=False)
    assert np.asarray(pick(feed.take(1, None).data, 0)["x"])[0] == 8
    feed.close()


def test_a_slow_loader_gives_what_it_has(monkeypatch):
    monkeypatch.setattr(stacked, "_PATIENCE", 0.0)
    loader = ArrayLoader({"x": np.zeros(4000, np.float32)}, batch_size=4)

    class Slow:
        def __getattr__(self, name):
            return getattr(loader, name)

        def batches(self, cursor=None):
            for item in loader.batches(cursor):
                time.sleep(0.001)
                yield item

    feed = Stacked(Slow())
    feed.begin(loader.start(), anew=True)
    for _ in range(LONGEST // 2 + 3):
        assert feed.take(64, None).length == 1  # no wait for 64 of them
        feed.used(1)
    feed.close()


def test_an_error_in_the_thread_comes_out_and_the_batch_comes_again():
    loader = ArrayLoader({"x": np.arange(40, dtype=np.float32)}, batch_size=4, shuffle=False)
    fail = [True]

    class Flaky:
        def __getattr__(self, name):
            return getattr(loader, name)

        def batches(self, cursor=None):
            for number, item in enumerate(loader.batches(cursor)):
                if number == 3 and fail:
                    fail.clear()
                    raise OSError("the disk is gone")
                yield item

    feed = Stacked(Flaky())
    feed.begin(loader.start(), anew=True)
    for _ in range(3):
        feed.take(1, None)
        place = feed.used(1)
    with pytest.raises(OSError, match="gone"):
        feed.take(1, None)
    feed.begin(place, anew=False)
    assert np.asarray(pick(feed.take(1, None).data, 0)["x"])[0] == 12
    feed.close()


def test_shapes_tell_structure_and_dtype_too():
    a = {"x": np.ones(2, np.float32)}
    assert shapes_of(a) == shapes_of({"x": np.zeros(2, np.float32)})
    assert shapes_of(a) != shapes_of({"y": np.ones(2, np.float32)})
    assert shapes_of(a) != shapes_of({"x": np.ones(2, np.int32)})
    assert shapes_of(a) != shapes_of({"x": np.ones(3, np.float32)})


def test_scalars_and_numbers_of_a_batch_are_stacked_too():
    """R5: what has no batch axis."""
    batches = [{"x": np.ones(2, np.float32), "alpha": float(i)} for i in range(5)]
    engine = Engine(lambda s, b: (s + b["alpha"] * b["x"].sum(), {}), jnp.float32(0), form="fused")
    assert float(engine.run(batches).train_state) == 20


def test_device_arrays_stay_on_the_device():
    feed = Stacked(as_loader([jnp.full(2, i, jnp.float32) for i in range(3)]))
    feed.begin(None, anew=True)
    with jax.transfer_guard_device_to_host("disallow"):
        assert isinstance(feed.take(1, 3).data, jax.Array)
