"""How far a run is to go: the table of `limits.py`, row by row."""

import pytest

from jaxtrain.engine.limits import set_limits
from jaxtrain.engine.state import EngineState

NOTHING = {"max_epochs": None, "max_iters": None, "epoch_length": None, "length": 10}


def state(**counters):
    now = EngineState(None)
    for name, value in counters.items():
        setattr(now, name, value)
    return now


def over(**more):
    return state(started=True, epoch=3, iteration=30, max_epochs=3, epoch_length=10, **more)


def left(how, **more):
    return state(
        **{"started": True, "epoch": 2, "iteration": 13, "max_epochs": 3, "epoch_length": 10,
           "epoch_open": True, "stopped": how} | more
    )  # fmt: skip


def test_a_new_run_does_one_epoch_of_the_loaders_length():
    now = state()
    assert set_limits(now, **NOTHING)
    assert (now.max_epochs, now.max_iters, now.epoch_length) == (1, None, 10)
    assert set_limits(now, **NOTHING | {"max_iters": 7, "epoch_length": 4})
    assert (now.max_epochs, now.max_iters, now.epoch_length) == (None, 7, 4)


@pytest.mark.parametrize("how", ["interrupt", "terminate", "failed"])
def test_one_that_was_left_goes_on(how):
    now = left(how)
    assert not set_limits(now, **NOTHING)
    assert (now.max_epochs, now.epoch_length, now.iteration) == (3, 10, 13)
    assert not set_limits(now, **NOTHING | {"max_epochs": 2})
    assert now.max_epochs == 2
    assert not set_limits(now, **NOTHING | {"max_iters": 13})
    assert (now.max_epochs, now.max_iters) == (None, 13)


@pytest.mark.parametrize("asked", [{}, {"max_epochs": 3}, {"max_iters": 30}])
def test_one_that_is_over_begins_anew(asked):
    now = over()
    assert set_limits(now, **NOTHING | asked | {"length": 5})
    assert (now.epoch, now.iteration, now.started, now.epoch_length) == (0, 0, False, 5)
    assert now.max_epochs == (None if "max_iters" in asked else asked.get("max_epochs", 1))


@pytest.mark.parametrize("asked", [{"max_epochs": 4}, {"max_iters": 31}])
def test_or_goes_on_for_more(asked):
    now = over()
    assert not set_limits(now, **NOTHING | asked)
    assert now.iteration == 30


def test_one_that_was_restored_is_not_done_again():
    now = over()
    assert not set_limits(now, **NOTHING | {"max_epochs": 3}, restored=True)
    assert now.iteration == 30


@pytest.mark.parametrize("how", ["interrupt", "failed"])
def test_one_that_was_left_at_its_very_end_is_completed(how):
    assert not set_limits(over(stopped=how), **NOTHING)
    assert set_limits(over(stopped="terminate"), **NOTHING)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_epochs": 2}, "max_epochs: the run is in epoch 3 already, found 2"),
        ({"max_iters": 29}, "max_iters: the run has done 30 iterations already, found 29"),
        ({"max_epochs": 5, "epoch_length": 9}, "has epochs of 10 iterations, found 9"),
        ({"max_epochs": 1, "max_iters": 1}, "expected max_epochs or max_iters, found both"),
        ({"epoch_length": 0}, "epoch_length: expected at least 1, found 0"),
    ],
)
def test_what_contradicts_what_is_done_is_refused_and_changes_nothing(asked, message):
    now = over()
    before = now.counters()
    with pytest.raises(ValueError, match=message):
        set_limits(now, **NOTHING | asked)
    assert now.counters() == before


def test_the_length_may_come_later_and_be_given_again():
    now = left("interrupt", epoch_length=None)
    assert not set_limits(now, **NOTHING | {"epoch_length": 6})
    assert now.epoch_length == 6
    assert not set_limits(now, **NOTHING | {"epoch_length": 6})
