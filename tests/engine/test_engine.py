"""What an engine has besides the loop: reading it from elsewhere, resetting, snapshots, hooks."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Event, Events
from jaxtrain.metrics import Mean


def add(state, batch):
    return state + batch, {"loss": state}


def batches(n):
    return [jnp.float32(1)] * n


def test_another_thread_may_look_at_any_time():
    """L6: the state, the output, a window; no array of theirs is ever deleted."""
    engine = Engine(add, jnp.zeros(100))
    scalar = Engine(lambda s, b: (s + b, {"loss": s}), jnp.float32(0))
    window = scalar.track("loss")
    over, errors, looks = threading.Event(), [], [0]

    def look():
        while not over.is_set():
            try:
                np.asarray(engine.state.train_state)
                np.asarray(scalar.state.train_state)
                window.read()
                scalar.first_nonfinite()
                looks[0] += 1
            except Exception as error:
                errors.append(error)
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for one in (engine, scalar):
            one.run(batches(50), max_epochs=20)
    finally:
        over.set()
        thread.join()
    assert errors == []
    assert looks[0] > 0
    assert float(scalar.state.train_state) == 1000


def test_to_track_in_a_run_is_an_error_that_says_so():
    """R6."""
    engine = Engine(add, jnp.float32(0))
    engine.attach_handler(Events.EPOCH_STARTED, lambda e: e.track("loss"))
    with pytest.raises(RuntimeError, match=r"track\(\) is for before a run, or between two"):
        engine.run(batches(2))
    with pytest.raises(ValueError, match="track: expected the name of a scalar"):
        engine.track()


def test_a_window_between_two_runs_keeps_what_metrics_have_seen():
    engine = Engine(add, jnp.float32(0))
    engine.add_metrics({"loss": Mean("loss")})
    with engine.attach_handler(Events.ITERATION_COMPLETED(once=2), Engine.interrupt):
        engine.run(batches(4))
    window = engine.track("loss")
    assert engine.run(batches(4)).metrics == {"loss": 1.5}
    assert window.read()["loss"]["mean"] == 2.5


def test_tracking_under_debug_nans():
    """R6: a healthy run is none that fails."""
    with jax.debug_nans(True):
        engine = Engine(add, jnp.float32(0))
        engine.add_metrics({"loss": Mean("loss")})
        window = engine.track("loss")
        engine.run(batches(3))
        assert window.read()["loss"]["max"] == 2
        assert engine.state.metrics == {"loss": 1}


class Log:
    def __init__(self):
        self.seen = []

    def log(self, engine):
        self.seen.append(engine.state.iteration)


def test_a_bound_method_is_found_again():
    """R7: `obj.log` is another object each time."""
    log, engine = Log(), Engine(lambda engine, batch: None)
    engine.attach_handler(Events.ITERATION_COMPLETED, log.log)
    assert engine.has_event_handler(log.log)
    assert engine.has_event_handler(log.log, Events.ITERATION_COMPLETED)
    assert not engine.has_event_handler(Log().log)
    engine.remove_event_handler(log.log, Events.ITERATION_COMPLETED)
    assert not engine.has_event_handler(log.log)


def test_a_handler_of_several_events_is_removed_from_them():
    """R9."""
    engine, seen = Engine(lambda engine, batch: None), []

    def note():
        seen.append(1)

    engine.attach_handler(Events.EPOCH_STARTED | Events.COMPLETED, note)
    engine.attach_handler(Events.STARTED, note)
    engine.remove_event_handler(note, Events.EPOCH_STARTED | Events.COMPLETED)
    engine.run([0])
    assert seen == [1]
    with pytest.raises(ValueError, match="is not attached to EPOCH_STARTED or COMPLETED"):
        engine.remove_event_handler(note, Events.EPOCH_STARTED | Events.COMPLETED)


SPIKE = Event("SPIKE")


def test_counters_and_what_is_the_users_own_survive():
    """L7."""

    def make():
        engine = Engine(add, jnp.float32(0))
        engine.register_events(SPIKE, event_to_attr={SPIKE: "spikes"})
        return engine

    engine = make()
    assert engine.state.spikes == 0
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: e.fire(SPIKE))
    engine.state.user["seen"] = [1, 2]
    engine.run(batches(3), max_epochs=1)
    arrays, record = engine.snapshot()
    again = make()
    again.restore(arrays, record)
    assert again.state.spikes == 3
    assert again.state.user == {"seen": [1, 2]}
    assert (again.state.max_epochs, again.state.epoch_length) == (1, 3)
    fired = []
    again.attach_handler(SPIKE(once=4), lambda: fired.append(1))
    again.fire(SPIKE)
    assert fired == [1]


def test_a_record_that_is_none_is_refused():
    engine = Engine(add, jnp.float32(0))
    arrays, record = engine.snapshot()
    del record["counters"]["max_epochs"]
    with pytest.raises(ValueError, match=r"record of a run: counters\.max_epochs is missing"):
        engine.restore(arrays, record)


def test_reset_begins_anew_but_keeps_the_state():
    loader = ArrayLoader({"x": np.arange(6, dtype=np.float32)}, batch_size=2, shuffle=False)
    engine = Engine(lambda s, b: (s + b["x"].sum(), {}), jnp.float32(0))
    with engine.attach_handler(Events.ITERATION_COMPLETED(once=2), Engine.terminate):
        engine.run(loader, max_epochs=3)
    engine.reset()
    assert engine.cursor() is None
    assert (engine.state.epoch, engine.state.iteration, engine.state.stopped) == (0, 0, "")
    assert float(engine.run(loader, max_epochs=1).train_state) == (0 + 1 + 2 + 3) + 15
    engine.attach_handler(Events.EPOCH_STARTED, Engine.reset)
    with pytest.raises(RuntimeError, match=r"reset\(\) is for before a run"):
        engine.run(loader, max_epochs=2)


def test_metrics_are_not_added_in_an_open_epoch():
    engine = Engine(add, jnp.float32(0))
    with engine.attach_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt):
        engine.run(batches(3))
    with pytest.raises(ValueError, match="before a run, or between its epochs"):
        engine.add_metrics({"loss": Mean("loss")})


def test_a_metric_of_ignite_is_refused_by_name():
    """R8."""
    ignite = pytest.importorskip("ignite.metrics")
    with pytest.raises(ValueError, match="is a metric of Ignite, which wants torch's tensors"):
        Engine(add, jnp.float32(0)).add_metrics({"accuracy": ignite.Accuracy()})


def test_the_form_is_known_before_a_run_and_without_compiling():
    loader = ArrayLoader({"x": np.ones(100, np.float32)}, batch_size=4)
    state = {"w": jax.ShapeDtypeStruct((1000,), np.float32)}
    engine = Engine(lambda s, b: ({"w": s["w"] + b["x"].sum()}, {}), state)
    assert engine.form is None
    assert engine.choose_form(loader) == engine.form == "fused"
    pinned = Engine(lambda s, b: (s, {}), state, form="single")
    assert pinned.choose_form(loader) == "single"
    assert engine.compilations == pinned.compilations == 0


def test_what_a_run_will_take_is_known_before_it():
    loader = ArrayLoader({"x": np.ones(100, np.float32)}, batch_size=4)
    for form in ("single", "fused"):
        state = {"w": jax.ShapeDtypeStruct((1000,), np.float32)}
        engine = Engine(lambda s, b: ({"w": s["w"] + b["x"].sum()}, {}), state, form=form)
        found = engine.compiled(loader).memory_analysis()
        assert found.argument_size_in_bytes >= 4000
        assert found.alias_size_in_bytes >= 4000  # the state is given away
    assert engine.state.iteration == 0
