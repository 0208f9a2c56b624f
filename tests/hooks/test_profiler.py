"""Which iterations are traced; that there is a trace is seen in its files."""

import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import Profiler, profiler
from jaxtrain.hooks.profiler import cost_line
from jaxtrain.parallel import Work
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


def test_the_first_iteration_can_be_traced_too(traced, tmp_path):
    engine, ends = traced
    engine.attach(Profiler(tmp_path, first=1, iterations=3))
    engine.run(BATCHES)
    assert ends == [("begin", 0), ("end", 3)]


def test_one_that_goes_on_right_before_the_first_traces_them(traced, tmp_path, caplog):
    engine, ends = traced
    engine.attach(Profiler(tmp_path, first=11, iterations=4))
    restored = Engine(count, np.int32(0))
    restored.run(BATCHES)
    arrays, record = restored.snapshot()
    engine.restore(arrays, record)
    engine.run(BATCHES, max_epochs=2)
    assert ends == [("begin", 10), ("end", 14)]
    assert "are not traced" not in caplog.text


@pytest.mark.parametrize("recorded", [True, False])
def test_one_that_goes_on_behind_them_says_that_there_is_no_trace(
    traced, tmp_path, caplog, recorded
):
    engine, ends = traced
    engine.run(BATCHES)
    engine.attach(Profiler(tmp_path, first=4, iterations=4))
    if recorded:
        (tmp_path / "profile").mkdir()
    engine.run(BATCHES, max_epochs=2)
    assert ends == []
    said = "profile: the iterations 4 to 7 are not traced: the run goes on behind 10" in caplog.text
    assert said is not recorded


@pytest.mark.parametrize("form", ["single", "fused"])
def test_there_is_a_trace_and_a_line_of_what_an_iteration_cost(tmp_path, caplog, form):
    def step(state, batch):
        state = jax.lax.scan(lambda w, _: (w @ w, None), state, None, length=5)[0]
        return state, {"loss": state.sum()}

    compiled = []
    listen = lambda name, seconds, **_: compiled.append(name)  # noqa: E731
    loader = ArrayLoader({"inputs": np.zeros([40, 2], np.float32)}, batch_size=4, seed=0)
    engine = Engine(step, jnp.eye(64), form=form)
    engine.attach(Profiler(tmp_path, first=2, iterations=3))
    with caplog.at_level("INFO"):
        jax.monitoring.register_event_duration_secs_listener(listen)
        engine.attach_handler(Events.ITERATION_COMPLETED(once=3), compiled.clear)
        engine.run(loader)
        jax.monitoring.unregister_event_duration_listener(listen)
    (trace,) = (tmp_path / "profile").rglob("*.xplane.pb")
    profile = jax.profiler.ProfileData.from_file(str(trace))
    lines = [line for plane in profile.planes for line in plane.lines]
    loops = [one.name for line in lines for one in line.events if re.match(r"while\.\d", one.name)]
    # That of the step runs in each of three; the fused form's own as often at most.
    assert max(Counter(loops).values()) == 3, loops
    line = caplog.messages[-1]
    found = re.fullmatch(
        r"profile: (\S+) (m|µ|)s an iteration, with what hooks did meanwhile; XLA counts "
        r"2.6\d MFLOP and 0.\d MiB: (\S+) (M|G|)FLOP/s, \S+ (M|G|)B/s",
        line,
    )
    assert found, line
    scale = {"": 1, "m": 1e-3, "µ": 1e-6, "M": 1e6, "G": 1e9}
    seconds, rate = (float(found[n]) * scale[found[n + 1]] for n in (1, 3))
    assert seconds * rate == pytest.approx(2 * 5 * 64**3, rel=0.03)
    assert not [name for name in compiled if "backend_compile" in name], "compiled once more"


def test_the_time_is_that_of_one_iteration(traced, tmp_path, caplog, monkeypatch):
    engine, _ = traced
    clock = iter([10.0, 16.0])
    monkeypatch.setattr(profiler.time, "perf_counter", lambda: next(clock))
    hook = Profiler(tmp_path, first=4, iterations=3)
    with caplog.at_level("INFO"):
        hook._begin(engine)
        engine.state.iteration = 6
        hook._end(engine)
    assert "profile: 2 s an iteration, with what hooks did meanwhile" in caplog.text


def test_a_process_function_computes_what_nobody_knows(tmp_path, caplog):
    engine = Engine(lambda engine, batch: None)
    engine.attach(Profiler(tmp_path, first=2, iterations=2))
    with caplog.at_level("INFO"):
        engine.run(BATCHES)
    assert caplog.messages[-1].endswith("meanwhile; what it computes is not known here")


def test_loops_that_nobody_can_count_are_told():
    line = cost_line(0.5, Work(2e9, 2**30, 2))
    assert line.endswith(
        "XLA counts 2 GFLOP and 1.00 GiB: 4 GFLOP/s, 2.15 GB/s (loops of unknown length, 2, count "
        "as one round)"
    )


def test_a_config_can_ask_for_it():
    hook = make_config({"hooks": {"profiler": {"first": 50}}}).hooks["profiler"]
    assert (hook.first, hook.iterations) == (50, 10)
