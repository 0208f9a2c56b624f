import pydantic
import pytest

from jaxtrain.engine import Events
from jaxtrain.hooks import HOOKS, TimeLimit
from jaxtrain.hooks import time_limit as module
from jaxtrain.hooks.time_limit import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("5m", 300), ("2h", 7200), ("1.5 h", 5400), ("1d", 86400), ("7", 7), (0.5, 0.5)],
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("wrong", ["", "soon", "5 minutes", "-3", 0, "0s", True, "nan", None])
def test_what_is_no_duration_is_refused(wrong):
    with pytest.raises(ValueError, match="such as '90s', '5m' or '2h', found"):
        seconds(wrong)


@pytest.fixture
def make_slow_engine(make_engine, monkeypatch):
    """Engines whose every iteration takes five seconds of the clock."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def make():
        engine = make_engine()
        engine.attach_handler(Events.ITERATION_STARTED, lambda: now.__setitem__(0, now[0] + 5))
        return engine

    return make


def test_interrupts_at_the_first_look_after_the_limit(make_slow_engine):
    engine = make_slow_engine()
    engine.attach(TimeLimit(limit="30s"))
    engine.run([0] * 100)
    assert engine.state.iteration == 6
    assert engine.state.stopped == "interrupt"


def test_a_restarted_run_goes_on_with_the_whole_limit_again(make_slow_engine, saved):
    engine = make_slow_engine()
    engine.attach(TimeLimit(limit="30s"))
    snapshots = saved(engine, Events.INTERRUPT)
    engine.run(list(range(10)))
    assert engine.state.iteration == 6

    again = make_slow_engine()
    again.attach(TimeLimit(limit="30s"))
    again.restore(*snapshots[0])
    batches = []
    again.on(Events.ITERATION_STARTED)(lambda e: batches.append(e.state.batch))
    again.run(list(range(6, 10)), epoch_length=10)  # what is left of the epoch
    assert batches == [6, 7, 8, 9]
    assert again.state.stopped == ""


def test_the_config_takes_a_duration():
    class Section(pydantic.BaseModel):
        name: str

    schema = HOOKS.schema("time_limit", Section)
    assert schema(name="time_limit", limit="5m").limit == 300
    with pytest.raises(pydantic.ValidationError, match="found 'soon'"):
        schema(name="time_limit", limit="soon")
    with pytest.raises(pydantic.ValidationError, match="Field required"):
        schema(name="time_limit")


def test_it_makes_no_dispatch_shorter(make_engine):
    engine = make_engine()
    engine.attach(TimeLimit(limit="30s"))
    assert engine.plan.next_cut(0) is None


def test_a_run_that_goes_on_has_the_whole_limit_again(make_engine, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    engine = make_engine()
    engine.attach(TimeLimit(limit="30s"))
    engine.fire(Events.STARTED)
    now[0] = 100.0
    engine.fire(Events.RESUMED)
    now[0] = 120.0
    engine.fire(Events.ITERATION_COMPLETED)
    assert not engine.stopping
    now[0] = 130.0
    engine.fire(Events.ITERATION_COMPLETED)
    assert engine.stopping
