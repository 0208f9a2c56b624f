import pytest

from jaxtrain.engine import Events
from jaxtrain.hooks import History
from jaxtrain.hooks import history as module


def test_one_row_an_epoch_with_every_single_number(make_engine):
    engine = make_engine(epochs={"val/loss": [0.3, None], "val/matrix": [[[1, 2]], [[1, 2]]]})
    history = History()
    engine.attach(history)
    engine.run([0, 0], max_epochs=2)
    assert history.epochs == [
        {"epoch": 1, "iteration": 2, "val/loss": 0.3},
        {"epoch": 2, "iteration": 4},
    ]


def test_a_resumed_run_ends_with_the_same_rows(make_engine, saved):
    values = {"val/loss": [0.3, 0.2, 0.1]}
    engine = make_engine(epochs=values)
    whole = engine.attach(History())
    snapshots = saved(engine, Events.ITERATION_COMPLETED(once=3))
    engine.run([0, 0], max_epochs=3)

    again = make_engine(epochs=values)
    resumed = again.attach(History())
    held_by_a_report = resumed.epochs
    again.restore(*snapshots[0])
    # The loader's cursor is not the engine's business: one batch is left of epoch 2.
    again.run([0, 0], max_epochs=3)
    assert resumed.epochs == whole.epochs
    assert held_by_a_report is resumed.epochs


def test_a_run_begun_anew_forgets(make_engine):
    engine = make_engine(epochs={"val/loss": [0.3, 0.2]})
    history = engine.attach(History())
    for _ in range(2):
        engine.run([0], max_epochs=2)
        assert [row["epoch"] for row in history.epochs] == [1, 2]


def test_seconds_add_up_over_restarts(make_engine, saved, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    engine = make_engine()
    history = engine.attach(History())
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda: now.__setitem__(0, now[0] + 2))
    engine.run([0] * 3)
    now[0] += 50  # after the run: does not count
    assert history.seconds == 6

    again = make_engine()
    resumed = again.attach(History())
    again.restore(*saved(engine))
    again.attach_handler(Events.ITERATION_COMPLETED, lambda: now.__setitem__(0, now[0] + 1))
    again.run([0] * 3, max_epochs=2)
    assert resumed.seconds == 9


def test_a_run_that_goes_on_drops_what_it_will_live_again_and_times_on(make_engine, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    engine = make_engine()
    history = engine.attach(History())
    rows = [{"epoch": epoch, "iteration": epoch} for epoch in (1, 2, 3)]
    history.restore({"epochs": rows, "seconds": 5.0})
    engine.state.epoch, engine.state.iteration = 2, 2
    engine.fire(Events.RESUMED)
    now[0] += 7
    assert history.epochs == rows[:2]
    assert history.seconds == 12.0


ROW = {"epoch": 1, "iteration": 9, "val/loss": float("nan"), "count": 3}


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {"epochs": [ROW]},
        {"epochs": None, "seconds": 1.0},
        {"epochs": {"a": 1}, "seconds": 1.0},
        {"epochs": [None], "seconds": 1.0},
        {"epochs": [{**ROW, "epoch": None}], "seconds": 1.0},
        {"epochs": [{**ROW, "epoch": True}], "seconds": 1.0},
        {"epochs": [{**ROW, "iteration": 0}], "seconds": 1.0},
        {"epochs": [{**ROW, "iteration": 10**30}], "seconds": 1.0},
        {"epochs": [{**ROW, "val/loss": "0.5"}], "seconds": 1.0},
        {"epochs": [{**ROW, "val/loss": None}], "seconds": 1.0},
        {"epochs": [{**ROW, "val/loss": 10**400}], "seconds": 1.0},
        {"epochs": [{**ROW, "val/loss": [1.0]}], "seconds": 1.0},
        {"epochs": [ROW, ROW], "seconds": 1.0},
        {"epochs": [ROW], "seconds": None},
        {"epochs": [ROW], "seconds": -1.0},
        {"epochs": [ROW], "seconds": float("nan")},
        {"epochs": [ROW], "seconds": float("inf")},
        {"epochs": [ROW], "seconds": 10**400},
    ],
)
def test_what_is_no_state_of_it_is_refused_and_changes_nothing(state):
    history = History()
    history.restore({"epochs": [ROW], "seconds": 2})
    with pytest.raises((ValueError, TypeError, KeyError)):
        history.restore(state)
    assert history.epochs == [ROW]
    assert history.seconds == 2.0


def test_it_may_have_come_to_a_run_later():
    history = History()
    rows = [{"epoch": 5, "iteration": 50}, {"epoch": 6, "iteration": 60}]
    history.restore({"epochs": rows, "seconds": 0.0})
    assert history.epochs == rows
