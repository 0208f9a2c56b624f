"""A fused run can't be told from one step at a time: events, values, metrics, state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.engine.device import Dispatch, Pacer, dispatch, pacer
from jaxtrain.metrics import Mean

# Shrinking compiles hundreds of engines; the example that failed is short enough as it is.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
ROWS = np.arange(1, 58, dtype=np.float32)


def step(state, batch):
    """Exact in float32, and different for every order of batches."""
    seen = jnp.sum(batch["x"] * batch["row_mask"])
    new = {
        "sum": state["sum"] + seen,
        "chain": (state["chain"] * 31 + seen.astype(jnp.int32)) % 9973,
    }
    return new, {"loss": seen, "chain": new["chain"]}


def start():
    return {"sum": jnp.float32(0), "chain": jnp.int32(1)}


class Plain:
    """The same batches from a loader that is no `IndexedLoader`, so that they are stacked."""

    def __init__(self, loader):
        self._loader = loader

    batch_size = property(lambda self: self._loader.batch_size)
    steps_per_epoch = property(lambda self: self._loader.steps_per_epoch)

    def fingerprint(self):
        return self._loader.fingerprint()

    def example(self):
        return self._loader.example()

    def start(self, epoch=0):
        return self._loader.start(epoch)

    def batches(self, cursor=None):
        return self._loader.batches(cursor)

    def __iter__(self):
        return iter(self._loader)


FILTERS = st.one_of(
    st.builds(lambda n: {"every": n}, st.integers(1, 9)),
    st.builds(lambda n: {"once": n}, st.integers(1, 40)),
    st.builds(lambda a, b: {"after": a, "before": b}, st.integers(0, 20), st.integers(1, 40)),
    st.builds(
        lambda n, a, b: {"every": n, "after": a, "before": b},
        st.integers(1, 5),
        st.integers(0, 9),
        st.integers(10, 40),
    ),
)
NAMES = st.sampled_from(
    [
        "STARTED",
        "EPOCH_STARTED",
        "GET_BATCH_STARTED",
        "GET_BATCH_COMPLETED",
        "ITERATION_STARTED",
        "ITERATION_COMPLETED",
        "EPOCH_COMPLETED",
        "COMPLETED",
        "TERMINATE",
        "TERMINATE_EPOCH",
        "INTERRUPT",
    ]
)
HANDLERS = st.lists(st.tuples(NAMES, st.one_of(st.none(), FILTERS)), max_size=5)
STOPS = st.lists(
    st.tuples(
        st.sampled_from(["terminate", "terminate_epoch", "interrupt"]),
        st.sampled_from(["ITERATION_STARTED", "ITERATION_COMPLETED", "EPOCH_STARTED"]),
        st.integers(1, 30),
    ),
    max_size=2,
)


def trace_of(form, make_loader, handlers, stops, limits, epoch_length):
    trace = []
    engine = Engine(step, start(), form=form)
    engine.add_metrics({"mean": Mean("loss")})
    window = engine.track("loss")

    def note(engine, name, index):
        state = engine.state
        seen = (name, index, state.epoch, state.iteration, state.epoch_iteration)
        if name == "ITERATION_COMPLETED":
            batch = np.asarray(state.batch["x"]).tolist()
            seen += (engine.scalars(), repr(window.read()), batch)  # NaN differs from itself
        if name in ("GET_BATCH_COMPLETED", "ITERATION_STARTED"):
            seen += (np.asarray(state.batch["x"]).tolist(), int(state.train_state["chain"]))
        if name in ("EPOCH_COMPLETED", "COMPLETED"):
            seen += (repr(state.metrics), int(state.train_state["chain"]))
        trace.append(seen)

    for index, (name, chosen) in enumerate(handlers):
        event = getattr(Events, name)
        engine.attach_handler(event(**chosen) if chosen else event, note, name, index)
    for how, name, count in stops:
        engine.attach_handler(getattr(Events, name)(once=count), getattr(Engine, how))
    loader = make_loader()
    for _ in range(3):  # an interrupted run is continued
        engine.run(loader, epoch_length=epoch_length, **limits)
        if engine.state.stopped != "interrupt":
            break
    final = jax.device_get(engine.state.train_state)
    counters = repr(engine.state.counters())  # NaN differs from itself
    return trace, final, counters, engine.cursor()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, phases=NO_SHRINKING)
@given(
    handlers=HANDLERS,
    stops=STOPS,
    batch_size=st.integers(3, 20),
    limits=st.one_of(
        st.builds(lambda n: {"max_epochs": n}, st.integers(1, 4)),
        st.builds(lambda n: {"max_iters": n}, st.integers(1, 40)),
    ),
    epoch_length=st.one_of(st.none(), st.integers(1, 25)),
)
@example(  # an epoch of no iteration, whose mean is NaN
    handlers=[("EPOCH_COMPLETED", None)],
    stops=[("terminate_epoch", "EPOCH_STARTED", 4)],
    batch_size=17,
    limits={"max_epochs": 4},
    epoch_length=4,
)
def test_one_at_a_time_and_fused_are_the_same(handlers, stops, batch_size, limits, epoch_length):
    def loader():
        return ArrayLoader({"x": ROWS}, batch_size=batch_size, seed=3)

    arguments = handlers, stops, limits, epoch_length
    single = trace_of("single", loader, *arguments)
    assert trace_of("fused", loader, *arguments) == single
    assert trace_of("fused", lambda: Plain(loader()), *arguments) == single


@settings(max_examples=15, deadline=None)
@given(
    periods=st.lists(st.integers(1, 50), max_size=4),
    batch_size=st.integers(3, 20),
    last_batch=st.sampled_from(["pad", "drop"]),
)
def test_one_compilation_whatever_the_periods_and_ends(periods, batch_size, last_batch):
    traced = []

    def counting(state, batch):
        traced.append(1)
        return step(state, {"row_mask": jnp.ones_like(batch["x"]), **batch})

    engine = Engine(counting, start(), form="fused")
    for period in periods:
        engine.attach_handler(Events.ITERATION_COMPLETED(every=period), lambda: None)
    loader = ArrayLoader({"x": ROWS}, batch_size=batch_size, last_batch=last_batch)
    engine.run(loader, max_epochs=2)
    after_two = len(traced)
    engine.run(loader, max_epochs=5)
    assert engine.compilations == 1
    assert len(traced) == after_two  # nothing was even traced anew


def test_dispatches_end_where_somebody_looks_and_nowhere_else(monkeypatch):
    monkeypatch.setattr(Pacer, "limit", lambda self, iteration: 10**6)
    engine = Engine(step, start(), form="fused")
    lengths = []
    engine.attach_handler(Events.ITERATION_COMPLETED(every=7), lambda: None)
    engine.attach_handler(Events.ITERATION_STARTED(once=12), lambda: None)
    dispatched = Dispatch.run

    def note(self, portion, **options):
        lengths.append(portion.length)
        return dispatched(self, portion, **options)

    monkeypatch.setattr(Dispatch, "run", note)
    engine.run(ArrayLoader({"x": ROWS}, batch_size=3), max_epochs=2)  # 19 iterations an epoch
    assert lengths == [7, 4, 1, 2, 5, 2, 7, 7, 3]
    planned = [p.length for p in engine.plan.dispatches(0, 38, epoch_length=19)]
    assert planned == lengths


def test_a_handler_that_comes_or_goes_changes_the_plan_at_once():
    seen = []
    engine = Engine(step, start(), form="fused")

    @engine.on(Events.ITERATION_COMPLETED(once=5))
    def begin_looking(engine):
        handle = engine.attach_handler(
            Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.iteration)
        )
        engine.attach_handler(Events.ITERATION_COMPLETED(once=9), handle.remove)

    engine.run(ArrayLoader({"x": ROWS}, batch_size=3), max_epochs=1)
    assert seen == [6, 7, 8, 9]


def test_tracked_outputs_are_those_since_the_last_look():
    engine = Engine(step, start(), form="fused")
    window, rival = engine.track("loss"), engine.track("loss")
    found = []
    engine.attach_handler(
        Events.ITERATION_COMPLETED(every=5), lambda: found.append(window.read()["loss"])
    )
    engine.run(ArrayLoader({"x": ROWS}, batch_size=5, seed=1), max_epochs=1)
    batches = ArrayLoader({"x": ROWS}, batch_size=5, seed=1)
    losses = [float((batch["x"] * batch["row_mask"]).sum()) for batch in batches]
    for index, seen in enumerate(found):
        part = losses[5 * index : 5 * index + 5]
        assert seen["mean"] == pytest.approx(np.mean(part), rel=1e-6)
        assert (seen["min"], seen["max"], seen["last"]) == (min(part), max(part), part[-1])
    assert window.read()["loss"]["mean"] == pytest.approx(np.mean(losses[10:]))
    assert np.isnan(window.read()["loss"]["mean"])
    assert rival.read()["loss"]["mean"] == pytest.approx(np.mean(losses))  # nobody robbed it


def test_no_transfer_hides_in_the_standard_loop():
    """Handlers that log now and then, metrics, tracking, an evaluator: all transfers are meant."""
    engine = Engine(step, start())
    engine.add_metrics({"mean": Mean("loss")})
    window = engine.track("loss")
    evaluator = Engine(lambda s, b: (s, {"loss": (b["x"] * b["row_mask"]).sum()}), start())
    evaluator.add_metrics({"mean": Mean("loss")})
    held_out = ArrayLoader({"x": ROWS}, batch_size=8, shuffle=False)
    seen = []
    engine.attach_handler(Events.ITERATION_COMPLETED(every=4), lambda e: seen.append(e.scalars()))
    engine.attach_handler(Events.ITERATION_COMPLETED(every=4), lambda: seen.append(window.read()))

    @engine.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        seen.append(evaluator.run(held_out, state=engine.state.train_state).metrics)
        seen.append(engine.state.metrics)

    with jax.transfer_guard("disallow"):
        engine.run(ArrayLoader({"x": ROWS}, batch_size=4), max_epochs=3)
        engine.run(Plain(ArrayLoader({"x": ROWS}, batch_size=4)), max_epochs=6)
    assert len(seen) == 90 // 4 * 2 + 6 * 2


def test_a_new_shape_is_announced():
    engine = Engine(lambda s, b: (s + b.sum(), {}), jnp.float32(0), form="fused")
    told = []
    engine.attach_handler(Events.RECOMPILED, lambda engine, what: told.append(what))
    batches = [np.ones(4, np.float32), np.ones(4, np.float32), np.ones(3, np.float32)]
    state = engine.run(batches, max_epochs=2)
    assert float(state.train_state) == 22
    assert len(told) == 1
    assert "4" in told[0]
    assert "-> float32" in told[0]
    assert engine.compilations == 2


def test_every_seconds_is_looked_at_between_dispatches(monkeypatch):
    """By a clock that a step moves by a millisecond, with dispatches of at most 16 steps."""
    monkeypatch.setattr(pacer.Pacer, "limit", lambda self, iteration: 16 - iteration % 16)
    engine = Engine(step, start(), form="fused")
    clock = "jaxtrain.engine.handlers.time.monotonic"
    monkeypatch.setattr(clock, lambda: engine.state.iteration / 1000)
    times = []
    engine.attach_handler(
        Events.ITERATION_COMPLETED(every_seconds=0.05), lambda e: times.append(e.state.iteration)
    )
    engine.run(ArrayLoader({"x": np.resize(ROWS, 400)}, batch_size=4), max_epochs=2)
    assert times == [64, 128, 192]  # dispatches end at 16, 32, ..., 96, 100, 112, ...


def test_a_convolution_on_the_cpu_is_single():
    def conv(state, batch):
        return state, {"y": jax.lax.conv(batch["x"], state, (1, 1), "SAME")}

    images = np.ones((12, 1, 8, 8), np.float32)
    engine = Engine(conv, jnp.ones((1, 1, 3, 3)))
    engine.run(ArrayLoader({"x": images}, batch_size=4))
    assert engine.form == ("single" if jax.default_backend() == "cpu" else "fused")
    other = Engine(step, start())
    other.run(ArrayLoader({"x": ROWS}, batch_size=4))
    assert other.form == "fused"


def test_a_state_that_changes_its_shape_is_refused():
    def growing(state, batch):
        return {"a": jnp.concatenate([state["a"], state["a"]])}, {}

    engine = Engine(growing, {"a": jnp.ones(2)})
    with pytest.raises(TypeError, match=r"\['a'\]: float32\[2\] becomes float32\[4\]"):
        engine.run(ArrayLoader({"x": ROWS}, batch_size=4))


def test_host_metrics_count_every_iteration_and_are_in_the_plan():
    class Longest:
        def reset(self):
            self.value = 0.0

        def update(self, output):
            assert isinstance(output["loss"], np.ndarray | np.generic)
            self.value = max(self.value, float(output["loss"]))

        def compute(self):
            return self.value

    engine = Engine(step, start(), form="fused")
    engine.add_metrics({"longest": Longest(), "mean": Mean("loss")})
    loader = ArrayLoader({"x": ROWS}, batch_size=5, shuffle=False)
    state = engine.run(loader, max_epochs=2)
    assert state.metrics["longest"] == sum(range(51, 56))
    assert engine.metric_names == ["mean", "longest"]
    assert "host metric 'longest'" in [h.name for h in engine.plan.observed()]


def test_metrics_are_fetched_when_they_are_read(monkeypatch):
    fetched = []
    real = dispatch.on_host
    monkeypatch.setattr(dispatch, "on_host", lambda tree: fetched.append(1) or real(tree))
    engine = Engine(step, start(), form="fused")
    engine.add_metrics({"mean": Mean("loss")})
    engine.run(ArrayLoader({"x": ROWS}, batch_size=5), max_epochs=3)
    assert fetched == []
    assert engine.state.metrics["mean"] > 0
    assert fetched == [1]


def test_the_cursor_counts_what_was_used_not_what_was_read_ahead():
    loader = Plain(ArrayLoader({"x": ROWS}, batch_size=3, seed=5))
    engine = Engine(step, start(), form="fused")
    engine.attach_handler(Events.ITERATION_COMPLETED(once=4), Engine.interrupt)
    engine.run(loader, max_epochs=1)
    assert engine.cursor() == {"epoch": 0, "batch": 4, "fingerprint": loader.fingerprint()}


def test_an_error_of_the_loader_comes_out():
    class Broken(Plain):
        def batches(self, cursor=None):
            for number, item in enumerate(super().batches(cursor)):
                if number == 3:
                    raise OSError("disk on fire")
                yield item

    engine = Engine(step, start(), form="fused")
    with pytest.raises(OSError, match="disk on fire"):
        engine.run(Broken(ArrayLoader({"x": ROWS}, batch_size=3)))
    assert engine.state.iteration == engine.cursor()["batch"] == 3


def test_a_handler_that_waits_in_every_iteration_is_named_once(caplog):
    engine = Engine(step, start())

    @engine.on(Events.ITERATION_COMPLETED)
    def greedy(engine):
        engine.scalars()

    @engine.on(Events.ITERATION_COMPLETED(every=2))
    def modest(engine):
        engine.scalars()

    engine.run(ArrayLoader({"x": ROWS}, batch_size=2), max_epochs=4)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "greedy reads the output in every iteration" in told[0]


def test_after_an_exception_an_epoch_goes_on_and_its_figures_are_whole():
    engine = Engine(step, start())
    engine.add_metrics({"mean": Mean("loss")})
    handle = engine.attach_handler(Events.ITERATION_COMPLETED(once=5), lambda: 1 / 0)
    loader = ArrayLoader({"x": ROWS}, batch_size=5, shuffle=False)
    with pytest.raises(ZeroDivisionError):
        engine.run(loader)
    handle.remove()
    state = engine.run(loader)
    assert (state.epoch, state.iteration) == (1, 12)
    assert state.metrics["mean"] == pytest.approx(ROWS.sum() / 12)


def test_metrics_are_not_added_to_a_run_under_way():
    engine = Engine(step, start())
    engine.attach_handler(Events.STARTED, lambda e: e.add_metrics({"mean": Mean("loss")}))
    with pytest.raises(RuntimeError, match="is for before a run"):
        engine.run(ArrayLoader({"x": ROWS}, batch_size=5))
