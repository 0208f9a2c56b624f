"""What an engine runs over, and its place in it."""

import logging
import time

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.engine.batches.batches import Batches
from jaxtrain.errors import CheckpointMismatchError, Interrupted


def opened(given, form=None, **options):
    batches = Batches()
    batches.accept(given)
    batches.begin(form, **{"anew": True, "mid_epoch": False} | options)
    return batches


def test_the_place_moves_only_when_a_step_has_used_the_batch(numbers):
    batches = opened(numbers(4))
    batches.take(1, None)
    assert batches.cursor is None
    batches.used(1)
    assert batches.cursor["batch"] == 1


def test_what_was_taken_and_not_used_comes_again(numbers):
    for given in (numbers(4), [0, 1, 2, 3], iter([0, 1, 2, 3])):
        for form in (None, "fused"):
            batches = opened(given if form is None else list(numbers(4)), form)
            batches.take(1, None)
            batches.used(1)
            for _ in range(3):
                assert np.ravel(batches.take(1, None).data) == 1
            batches.used(1)
            assert np.ravel(batches.take(1, None).data) == 2


def test_a_waiting_that_is_broken_off_loses_nothing(numbers):
    loader = numbers(4)
    real, fail = loader.batches, [True]

    def broken(cursor=None):
        for number, place in real(cursor):
            if number == 2 and fail:
                fail.clear()
                raise Interrupted
            yield number, place

    loader.batches = broken
    batches = opened(loader)
    for _ in range(2):
        batches.take(1, None)
        batches.used(1)
    assert batches.take(1, None) is None
    assert batches.broken_off
    batches.begin(None, anew=False, mid_epoch=True)
    assert batches.take(1, None).data == 2
    assert not batches.broken_off


def test_only_a_loader_can_be_left_while_it_is_waited_for(numbers):
    waited = []
    batches = Batches()

    class Watching(numbers):
        def _from(self, epoch, batch):
            for item in super()._from(epoch, batch):
                waited.append(batches.waiting)
                yield item

    for given in (Watching(2), (waited.append(batches.waiting) or i for i in range(2))):
        batches.accept(given)
        batches.begin(None, anew=True, mid_epoch=False)
        batches.take(1, None)
        assert not batches.waiting
    assert waited == [True, False]


# -- over other data -----------------------------------------------------------------------------


def sums(x, **options):
    return ArrayLoader({"x": np.asarray(x, np.float32)}, batch_size=1, shuffle=False, **options)


def adding():
    return Engine(lambda s, b: (s + b["x"].sum(), {}), jnp.float32(0))


def test_from_one_epoch_to_the_next_the_data_may_change():
    engine = adding()
    engine.run(sums([1, 2]), max_epochs=1)
    assert float(engine.run(sums([10, 20, 30]), max_epochs=2, epoch_length=2).train_state) == 33


def test_in_an_epoch_they_may_not():
    engine = adding()
    with engine.attach_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt):
        engine.run(sums([1, 2, 3]))
    with pytest.raises(CheckpointMismatchError):
        engine.run(sums([7, 8, 9]))
    assert float(engine.run(sums([1, 2, 3])).train_state) == 6


def test_after_a_restore_they_may_not_at_all():
    engine = adding()
    engine.run(sums([1, 2]))
    arrays, record = engine.snapshot()
    arrays = {**arrays, "train_state": jnp.copy(arrays["train_state"])}
    again = adding()
    again.restore(arrays, record)
    with pytest.raises(CheckpointMismatchError):
        again.run(sums([7, 8]), max_epochs=2)
    assert float(again.run(sums([1, 2]), max_epochs=2).train_state) == 6


def test_what_has_no_place_is_told_of_in_mid_epoch(caplog):
    engine = Engine(lambda engine, batch: batch)
    with engine.attach_handler(Events.ITERATION_COMPLETED(once=2), Engine.interrupt):
        engine.run([0, 1, 2])
    with caplog.at_level(logging.WARNING):
        assert engine.run([0, 1, 2]).output == 0  # another list: its first batch
    assert "list, which holds no place in the data" in caplog.text
    caplog.clear()
    engine.run([5])
    assert caplog.text == ""


# -- S1: looking at a loader moves nobody --------------------------------------------------------


@pytest.mark.parametrize("form", ["single", "fused"])
def test_looking_at_a_loader_moves_nobody(form):
    rows = np.arange(100, dtype=np.float32)
    loader = ArrayLoader({"x": rows}, batch_size=5, seed=2)
    next(iter(loader))
    loader.example()
    seen = []
    engine = Engine(lambda s, b: (s, {"x": b["x"]}), jnp.float32(0), form=form)
    engine.keep("x")

    @engine.on(Events.ITERATION_COMPLETED)
    def look(engine):
        seen.extend(np.asarray(engine.state.output["x"]).tolist())
        next(iter(loader))

    handle = engine.attach_handler(Events.ITERATION_COMPLETED(once=27), lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.run(loader, max_epochs=3)
    assert len(seen) == 135
    handle.remove()
    engine.run(loader)
    assert len(seen) == 300
    for epoch in range(3):
        assert sorted(seen[100 * epoch : 100 * epoch + 100]) == rows.tolist()


def test_two_engines_share_a_loader_and_an_evaluator_sees_the_same_each_time():
    loader = ArrayLoader({"x": np.arange(20, dtype=np.float32)}, batch_size=4, seed=2)

    def sees(max_iters):
        found = []
        engine = Engine(lambda s, b: (s, {"x": b["x"].sum()}), jnp.float32(0))
        engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: found.append(e.scalars()["x"]))
        return engine, found, max_iters

    trainer, trained, _ = sees(None)
    evaluator, evaluated, iters = sees(2)
    trainer.attach_handler(
        Events.ITERATION_COMPLETED(every=3), lambda: evaluator.run(loader, max_iters=iters)
    )
    trainer.run(loader, max_epochs=2)
    alone, expected, _ = sees(None)
    alone.run(loader, max_epochs=2)
    assert trained == expected
    assert evaluated == expected[:2] * 3


def test_how_long_batches_were_waited_for_and_how_large_they_are():
    engine = Engine(lambda engine, batch: None)
    assert (engine.waited, engine.batch_size) == (0.0, None)

    def slow():
        for _ in range(3):
            time.sleep(0.02)
            yield 1

    engine.run(slow())
    assert engine.waited >= 0.06
    assert engine.batch_size is None
    before = engine.waited
    engine.run(ArrayLoader({"x": np.zeros([6, 1])}, batch_size=2, seed=0))
    assert engine.batch_size == 2
    assert before < engine.waited < before + 10


def test_a_loader_that_fails_was_waited_for_too():
    def broken():
        yield 1
        time.sleep(0.02)
        raise ZeroDivisionError

    engine = Engine(lambda engine, batch: None)
    with pytest.raises(ZeroDivisionError):
        engine.run(broken())
    assert engine.waited >= 0.02
