"""Tests of jaxtrain.retention.guard, with the engine that it is for."""

import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.retention import validate_no_forgetting
from tests.retention.small import questions

BEFORE = {"a": questions(90, 100), "text": questions(60, 100)}


def trained(rights, **options):
    """A training in which so many questions of `a` are right after each epoch."""
    engine = Engine(lambda engine, batch: {})
    asked = []

    def evaluate(name):
        asked.append((engine.state.epoch, name))
        return questions(rights[engine.state.epoch - 1] if name == "a" else 60, 100)

    guard = validate_no_forgetting(evaluate, BEFORE, resamples=500, **options)
    engine.attach_handler(Events.EPOCH_COMPLETED, guard)
    engine.run([0, 0], max_epochs=len(rights))
    return engine, guard, asked


def test_a_run_that_keeps_everything_ends_by_itself():
    engine, guard, asked = trained([90, 89, 91])
    assert engine.state.epoch == 3
    assert guard.reason is None
    assert guard.report.changes["a"].value == pytest.approx(0.01)
    assert asked == [(epoch, name) for epoch in (1, 2, 3) for name in ("a", "text")]


def test_a_run_that_forgets_is_ended_and_says_why(caplog):
    engine, guard, _ = trained([90, 50, 90, 90])
    assert engine.state.epoch == 2
    assert guard.reason.startswith("forgotten: a: -40.0 [")
    assert guard.reason.endswith("] points")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == f"stopped: {guard.reason}"


def test_what_is_not_sure_ends_nothing():
    engine, guard, _ = trained([88, 88])
    assert engine.state.epoch == 2
    assert guard.report.verdicts()["a"] == "undecided"


def test_a_loss_within_the_tolerance_ends_nothing():
    engine, guard, _ = trained([50, 50], tolerance=0.5)
    assert engine.state.epoch == 2
    assert guard.reason is None
    engine, guard, _ = trained([50, 50], tolerance=0.2)
    assert engine.state.epoch == 1


def test_every_loss_is_told():
    def evaluate(name):
        return questions(10, 100)

    class Stopped:
        stops = 0

        def terminate(self):
            self.stops += 1

    engine = Stopped()
    guard = validate_no_forgetting(evaluate, BEFORE, resamples=500)
    guard(engine)
    assert engine.stops == 1
    assert "a: -80.0" in guard.reason
    assert "; text: -50.0" in guard.reason


def test_a_reason_is_that_of_the_last_look():
    rights = iter([10, 10, 90, 60])

    class Stopped:
        def terminate(self):
            pass

    guard = validate_no_forgetting(lambda name: questions(next(rights), 100), BEFORE, resamples=500)
    guard(Stopped())
    assert guard.reason is not None
    guard(Stopped())
    assert guard.reason is None


@pytest.mark.parametrize(
    ("before", "options", "says"),
    [
        ({}, {}, "before: expected a task to keep, found none"),
        (BEFORE, {"tolerance": -0.1}, "tolerance: expected a score from 0 to 1, found -0.1"),
        (BEFORE, {"tolerance": 2}, "tolerance: expected a score from 0 to 1, found 2"),
    ],
)
def test_what_could_never_be_told_is_refused_at_once(before, options, says):
    with pytest.raises(ConfigError, match=says):
        validate_no_forgetting(lambda name: BEFORE[name], before, **options)


def test_other_examples_than_before_end_the_run_with_an_error():
    engine = Engine(lambda engine, batch: {})
    guard = validate_no_forgetting(lambda name: questions(1, 5), BEFORE)
    engine.attach_handler(Events.EPOCH_COMPLETED, guard)
    with pytest.raises(DataError, match="a: expected the same 100 examples as before, found 5"):
        engine.run([0], max_epochs=1)
