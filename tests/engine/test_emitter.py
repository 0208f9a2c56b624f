import pytest

from jaxtrain.engine import Event, Events
from jaxtrain.errors import DataError


@pytest.fixture
def engine(host):
    return host()


def test_what_waits_for_rest_runs_after_all_handlers_of_the_event(engine):
    seen = []

    @engine.on(Events.STARTED, priority=100)
    def first(engine):
        engine.when_at_rest(lambda: seen.append("rest 1"))
        engine.when_at_rest(lambda: seen.append("rest 2"))
        seen.append("first")

    engine.attach_handler(Events.STARTED, lambda: seen.append("last"), priority=-100)
    engine.attach_handler(Events.EPOCH_STARTED, lambda: seen.append("next event"))
    engine.run([0])
    assert seen == ["first", "last", "rest 1", "rest 2", "next event"]


def test_an_event_within_an_event_is_no_rest(engine):
    inner = Event("INNER")
    seen = []
    engine.attach_handler(inner, lambda engine: engine.when_at_rest(lambda: seen.append("rest")))

    @engine.on(Events.STARTED)
    def outer(engine):
        engine.fire(inner)
        seen.append("outer goes on")

    engine.attach_handler(Events.STARTED, lambda: seen.append("another"))
    engine.run([0])
    assert seen == ["outer goes on", "another", "rest"]


def test_what_runs_at_rest_may_fire_events_and_wait_again(engine):
    seen = []

    @engine.on(Events.STARTED)
    def start(engine):
        engine.when_at_rest(lambda: engine.fire(Events.CHECKPOINT_SAVED))
        engine.when_at_rest(lambda: seen.append("second"))

    @engine.on(Events.CHECKPOINT_SAVED)
    def saved(engine):
        seen.append("saved")
        engine.when_at_rest(lambda: seen.append("third"))

    engine.run([0])
    assert seen == ["saved", "second", "third"]


def test_an_exception_on_the_way_to_rest_drops_what_waited(engine):
    seen = []

    @engine.on(Events.STARTED(once=1))
    def start(engine):
        engine.when_at_rest(lambda: seen.append("rest"))
        raise RuntimeError("no rest")

    with pytest.raises(RuntimeError, match="no rest"):
        engine.run([0])
    engine.run([0])  # in which things come to rest again
    assert seen == []


def test_an_exception_at_rest_is_an_exception_of_the_run(engine):
    seen = []

    def fail():
        raise RuntimeError("at rest")

    engine.attach_handler(Events.EPOCH_STARTED, lambda engine: engine.when_at_rest(fail))
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda engine, error: seen.append(str(error)))
    with pytest.raises(RuntimeError, match="at rest"):
        engine.run([0])
    assert seen == ["at rest"]


def test_fire_returns_what_the_handlers_returned_in_their_order(engine):
    engine.attach_handler(Events.STARTED, lambda: "low")
    engine.attach_handler(Events.STARTED, lambda: "high", priority=1)
    assert engine.fire(Events.STARTED) == ["high", "low"]
    assert engine.fire(Event("NOBODY")) == []


class Failing:
    """A hook that raises."""

    def __init__(self, error):
        self.error = error

    def attach(self, engine):
        engine.attach_handler(Events.EPOCH_COMPLETED, self.fail)

    def fail(self):
        raise self.error


def notes(engine):
    with pytest.raises(Exception) as raised:
        engine.run([0, 1])
    return getattr(raised.value, "__notes__", [])


def test_what_a_hook_raises_names_it_and_the_event(engine):
    engine.attach(Failing(KeyError("x")), "mine")
    assert notes(engine) == ["raised by the hook 'mine', at EPOCH_COMPLETED"]


def test_what_a_function_raises_names_it_and_the_event(engine):
    engine.attach(Failing(KeyError("x")), "another")

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def look():
        return 1 / 0

    (note,) = notes(engine)
    assert note.startswith("raised by the handler test_what_a_function")
    assert note.endswith("look, at ITERATION_COMPLETED")


def test_of_events_within_events_the_innermost_is_named(engine):
    inner = Event("INNER")
    engine.attach_handler(inner, Failing(KeyError("x")).fail)
    engine.attach_handler(Events.STARTED, lambda engine: engine.fire(inner))
    assert notes(engine) == ["raised by the handler Failing.fail, at INNER"]


def test_what_says_itself_what_is_wrong_gets_no_note(engine):
    engine.attach(Failing(DataError("torn")), "mine")
    assert notes(engine) == []
