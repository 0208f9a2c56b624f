"""Which iterations are traced; that there is a trace is seen in its files."""

import jax
import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import Profiler
from jaxtrain.run import make_config


def count(state, batch):
    return state + 1, {"loss": state.astype(np.float32)}


@pytest.fixture
def traced(monkeypatch):
    """Which iterations `run(hook, ...)` has traced, by the engine's count at both ends."""
    engine = Engine(count, np.int32(0))
    ends = []
    monkeypatch.setattr(
        jax.profiler, "start_trace", lambda path: ends.append(("begin", engine.state.iteration))
    )
    monkeypatch.setattr(
        jax.profiler, "stop_trace", lambda: ends.append(("end", engine.state.iteration))
    )
    return engine, ends


BATCHES = [{"x": np.float32(1)}] * 10


def test_it_traces_those_that_were_asked_for_once(traced, tmp_path):
    engine, ends = traced
    engine.attach(Profiler(tmp_path, first=4, iterations=3))
    engine.run(BATCHES, max_epochs=3)
    assert ends == [("begin", 3), ("end", 6)]
    assert engine.plan.next_cut(0).iteration == 3
    assert engine.plan.next_cut(3).iteration == 6


def test_a_run_that_ends_before_ends_the_trace(traced, tmp_path, caplog):
    engine, ends = traced
    engine.attach(Profiler(tmp_path, first=4, iterations=99))
    with caplog.at_level("INFO"):
        engine.run(BATCHES)
    assert ends == [("begin", 3), ("end", 10)]
    assert "iterations 4 to 10" in caplog.text


@pytest.mark.parametrize("how", ["interrupt", "raise"])
def test_a_run_that_is_left_ends_it_too(traced, tmp_path, how):
    engine, ends = traced
    engine.attach(Profiler(tmp_path, first=4, iterations=99))

    @engine.on(Events.ITERATION_COMPLETED(once=7))
    def leave(engine):
        if how == "raise":
            raise ZeroDivisionError
        engine.interrupt()

    if how == "raise":
        with pytest.raises(ZeroDivisionError):
            engine.run(BATCHES)
    else:
        engine.run(BATCHES)
        engine.run(BATCHES)  # goes on behind the first one
    assert ends == [("begin", 3), ("end", 7)]


def test_there_is_a_trace(tmp_path):
    engine = Engine(count, np.int32(0))
    engine.attach(Profiler(tmp_path, first=2, iterations=2))
    engine.run(BATCHES)
    (trace,) = (tmp_path / "profile").rglob("*.xplane.pb")
    assert trace.stat().st_size > 1000


def test_a_config_can_ask_for_it():
    hook = make_config({"hooks": {"profiler": {"first": 50}}}).hooks["profiler"]
    assert (hook.first, hook.iterations) == (50, 10)
