"""Which iterations somebody observes."""

import pytest

from jaxtrain.engine import Engine, Events


def ends(*events, start=0, stop=20, epoch_length=None):
    engine = Engine(lambda engine, batch: None)
    for event in events:
        engine.attach_handler(event, lambda: None)
    planned = engine.plan.dispatches(start, stop, epoch_length=epoch_length)
    return [p.first + p.length - 1 for p in planned]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Events.ITERATION_COMPLETED(every=7), [7, 14, 20]),
        (Events.ITERATION_COMPLETED(once=3), [3, 20]),
        (Events.ITERATION_STARTED(once=5), [4, 5, 20]),
        (Events.GET_BATCH_STARTED(once=5), [4, 5, 20]),
        (Events.GET_BATCH_COMPLETED(once=1), [1, 20]),
        (Events.ITERATION_COMPLETED(every_seconds=1), [20]),
        (Events.EPOCH_COMPLETED, [20]),
    ],
)
def test_dispatches_end_where_somebody_looks(event, expected):
    assert ends(event) == expected


def test_a_predicate_is_asked_in_every_iteration():
    assert ends(Events.ITERATION_COMPLETED(lambda e, n: False), stop=3) == [1, 2, 3]


def test_every_epoch_ends_a_dispatch():
    assert ends(Events.ITERATION_COMPLETED(every=7), epoch_length=10) == [7, 10, 14, 20]
    assert ends(start=3, stop=12, epoch_length=5) == [5, 10, 12]


def test_it_knows_of_handlers_that_come_and_go_and_who_they_are():
    engine = Engine(lambda engine, batch: None)

    def log():
        pass

    assert engine.plan.next_cut(0) is None
    handle = engine.attach_handler(Events.ITERATION_COMPLETED(every=5), log)
    cut = engine.plan.next_cut(0)
    assert cut.iteration == 5
    assert [handler.name.rpartition(".")[2] for handler in cut.by] == ["log"]
    assert [h.function for h in engine.plan.observed()] == [log]
    handle.remove()
    assert engine.plan.next_cut(0) is None


def test_going_back_asks_anew():
    engine = Engine(lambda engine, batch: None)
    engine.attach_handler(Events.ITERATION_COMPLETED(every=5), lambda: None)
    assert engine.plan.next_cut(12).iteration == 15
    assert engine.plan.next_cut(0).iteration == 5
