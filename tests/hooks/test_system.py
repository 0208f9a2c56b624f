"""What the machine does, seen from a thread; on a clock of the test's own, where time matters."""

from __future__ import annotations

import math
import threading
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events, OwnLoop
from jaxtrain.hooks import System, read_rows
from jaxtrain.hooks import system as module

ALWAYS = {
    "iteration",
    "seconds",
    "seconds_to_first_step",
    "compile_seconds",
    "iterations_per_second",
    "data_wait_share",
    "cpu_percent",
    "host_cpu_percent",
    "host_memory_bytes",
    "host_memory_percent",
    "live_array_bytes",
}


def rows_in(directory):
    return read_rows(directory / "system.jsonl")[0]


def count(state, batch):
    return state + 1, {"loss": jnp.float32(0.5)}


def threads():
    return [one for one in threading.enumerate() if one.name == "jaxtrain-system"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert threads() == []


@pytest.fixture
def clock(monkeypatch):
    """The hook's clock, which stands still: clock[0]. Its thread writes nothing by itself."""
    now = [100.0]
    real = time.monotonic
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    yield now
    monkeypatch.setattr(module.time, "monotonic", real)


def test_a_run_of_arrays_is_still_one_dispatch_and_says_what_it_did(tmp_path):
    loader = ArrayLoader({"inputs": np.zeros([64, 2], np.float32)}, batch_size=4, seed=0)
    engine = Engine(count, jnp.int32(0), form="fused")
    engine.attach(System(tmp_path / "run", seconds=60))
    assert engine.plan.next_cut(0) is None
    assert not (tmp_path / "run").exists()
    engine.run(loader, max_epochs=3)
    (row,) = rows_in(tmp_path / "run")
    assert row.keys() == ALWAYS | {"examples_per_second"}
    assert row["iteration"] == 48
    assert 0 < row["seconds_to_first_step"] <= row["seconds"]
    assert 0 < row["compile_seconds"] <= row["seconds"]
    assert row["examples_per_second"] == pytest.approx(4 * row["iterations_per_second"])
    assert 0 <= row["data_wait_share"] < 1
    assert row["host_memory_bytes"] > 10**7
    assert 0 < row["host_memory_percent"] <= 100
    assert 0 <= row["host_cpu_percent"] <= 100
    assert row["cpu_percent"] >= 0


def test_rates_are_since_the_row_before_and_from_where_this_process_began(tmp_path, clock):
    """A run that goes on is not as fast as if it had done all of it."""
    engine = Engine(lambda engine, batch: clock.__setitem__(0, clock[0] + 0.5))
    hook = engine.attach(System(tmp_path, seconds=1e6))

    @engine.on(Events.ITERATION_COMPLETED(once=(4, 10)), priority=-1)
    def write(engine):
        if engine.state.iteration == 4:
            hook._look(engine)
            hook._watch.write()
        else:
            engine.interrupt()

    batches = [0] * 20
    engine.run(batches)
    clock[0] += 1000.0  # left for so long
    engine.run(batches)
    first, second, third = rows_in(tmp_path)
    assert (first["iteration"], second["iteration"], third["iteration"]) == (4, 10, 20)
    assert [row["iterations_per_second"] for row in (first, second, third)] == [2.0, 2.0, 2.0]
    assert [row["seconds"] for row in (first, second, third)] == [2.0, 5.0, 5.0]
    assert first["seconds_to_first_step"] == second["seconds_to_first_step"]
    assert "examples_per_second" not in first  # a list says no batch size


def test_where_no_iteration_has_ended_there_is_no_rate(tmp_path, clock):
    engine = Engine(lambda engine, batch: clock.__setitem__(0, clock[0] + 1.0))
    hook = engine.attach(System(tmp_path, seconds=1e6))

    @engine.on(Events.STARTED, priority=-1)
    @engine.on(Events.EPOCH_COMPLETED, priority=-1)
    def write(engine):
        hook._look(engine)
        hook._watch.write()
        hook._watch.write()

    engine.run([0] * 2)
    begun, again, ended, after, last = rows_in(tmp_path)
    for row in (begun, again, after, last):
        assert not {"iterations_per_second", "data_wait_share"} & row.keys()
    assert ended["iterations_per_second"] == 1.0
    assert "seconds_to_first_step" not in again
    assert last["seconds_to_first_step"] == 1.0


def test_waiting_for_a_slow_loader_shows(tmp_path):
    def slow():
        for _ in range(4):
            time.sleep(0.05)
            yield {"x": np.float32(1)}

    engine = Engine(count, jnp.int32(0), form="single")
    engine.attach(System(tmp_path, seconds=60))
    engine.run(slow())
    (row,) = rows_in(tmp_path)
    assert engine.waited >= 0.2
    before = engine.waited
    waited = row["data_wait_share"] * row["iteration"] / row["iterations_per_second"]
    assert waited == pytest.approx(before, rel=0.02)
    engine.run(slow(), max_epochs=2)
    row = rows_in(tmp_path)[1]
    waited = row["data_wait_share"] * 4 / row["iterations_per_second"]
    assert waited == pytest.approx(engine.waited - before, rel=0.02)


def test_a_row_comes_every_few_seconds_while_the_engine_is_busy(tmp_path):
    """Inside of one iteration, too: nobody observes it meanwhile."""
    file = tmp_path / "system.jsonl"
    three = lambda: file.exists() and len(rows_in(tmp_path)) > 2  # noqa: E731
    engine = Engine(lambda engine, batch: _until(three))
    engine.attach(System(tmp_path, seconds=0.01))
    engine.run([0])
    rows = rows_in(tmp_path)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert len(rows) >= 4


def test_one_that_begins_anew_begins_the_file_anew_and_one_that_goes_on_adds_to_it(tmp_path):
    engine = Engine(lambda engine, batch: None)
    engine.attach(System(tmp_path))
    engine.run([0] * 3)
    engine.run([0] * 3, max_epochs=2)
    assert [row["iteration"] for row in rows_in(tmp_path)] == [3, 6]
    engine.reset()
    engine.run([0] * 3)
    assert [row["iteration"] for row in rows_in(tmp_path)] == [3]


@pytest.mark.parametrize("how", ["raise", "interrupt", "terminate"])
def test_however_it_ends_there_is_a_last_row_and_no_thread(tmp_path, how):
    engine = Engine(lambda engine, batch: None)
    engine.attach(System(tmp_path))

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def leave(engine):
        assert len(threads()) == 1
        if how == "raise":
            raise ZeroDivisionError
        getattr(engine, how)()

    try:
        engine.run([0] * 3)
    except ZeroDivisionError:
        assert how == "raise"
    assert len(rows_in(tmp_path)) == 1


def test_a_loop_of_ones_own_that_was_left_is_watched_by_one_thread_when_it_goes_on(tmp_path):
    loop = OwnLoop(hooks=[System(tmp_path)])
    batches = [0] * 3
    for leaves in (True, False):
        for _ in loop.epochs(2):
            for _, _batch in loop.batches(batches):
                loop.done(None, {})
                if leaves:
                    break
            if leaves:
                assert len(threads()) == 1
                break
    (row,) = rows_in(tmp_path)
    assert row["iteration"] == loop.state.iteration


def test_a_full_disk_ends_the_run(tmp_path, monkeypatch):
    """In the thread it would be lost."""
    tried = threading.Event()

    def full(path, row):
        tried.set()
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(module, "append_row", full)
    engine = Engine(lambda engine, batch: tried.wait(30) and time.sleep(0.02))
    engine.attach(System(tmp_path, seconds=0.01))
    with pytest.raises(OSError, match="No space left"):
        engine.run([0] * 50)
    assert engine.state.iteration < 50


def test_an_error_of_ones_own_is_the_one_that_is_raised(tmp_path, monkeypatch):
    def full(path, row):
        raise OSError(28, "No space left on device", str(path))

    def process(engine, batch):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "append_row", full)
    engine = Engine(process)
    engine.attach(System(tmp_path))
    with pytest.raises(ZeroDivisionError):
        engine.run([0])


def test_what_devices_tell(monkeypatch):
    class Device:
        def __init__(self, stats):
            self.stats = stats

        def memory_stats(self):
            if isinstance(self.stats, Exception):
                raise self.stats
            return self.stats

    def on(*devices):
        monkeypatch.setattr(jax, "local_devices", lambda: [Device(one) for one in devices])
        return module._device_memory()

    assert on(None, None) == {}
    assert on(jax.errors.JaxRuntimeError("UNIMPLEMENTED")) == {}
    full = {"bytes_in_use": 3, "peak_bytes_in_use": 5, "bytes_limit": -1, "num_allocs": 7}
    found = on({"bytes_in_use": 2, "bytes_limit": 9}, full)
    assert found == {"device_memory_bytes": 3, "device_memory_peak_bytes": 5}


def test_arrays_count_on_each_device_that_holds_a_part_of_them(monkeypatch):
    devices = ["one", "other"]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)

    def array(shape, part, where):
        sharding = types.SimpleNamespace(shard_shape=lambda _: part, addressable_devices=where)
        return types.SimpleNamespace(shape=shape, dtype=np.dtype(np.float32), sharding=sharding)

    def held(*arrays):
        monkeypatch.setattr(jax, "live_arrays", lambda: list(arrays))
        return module._live_array_bytes()

    assert held() == 0
    split = array((8, 3), (4, 3), {"one", "other"})
    assert held(split) == 48
    assert held(split, array((5,), (5,), {"other"})) == 68
    assert held(split, array((5,), (5,), {"one"}), array((5,), (5,), {"other"})) == 68


def test_what_jax_holds_and_what_was_given_away():
    kept = jnp.ones([1 << 16], jnp.float32)
    before = module._live_array_bytes()
    given = jax.jit(jnp.negative, donate_argnums=0)(kept)
    given.block_until_ready()
    assert kept.is_deleted()
    assert abs(module._live_array_bytes() - before) < 1 << 16
    del given
    assert module._live_array_bytes() <= before - (1 << 17)


def test_only_this_run_hears_what_it_compiles(tmp_path):
    engine = Engine(lambda engine, batch: None)
    hook = engine.attach(System(tmp_path))
    heard = []

    @engine.on(Events.STARTED, priority=-1)
    def compile_something(engine):
        heard.append(hook._watch)
        jax.jit(lambda x: jnp.sin(x) * 7)(jnp.ones([3]))
        jax.monitoring.record_event_duration_secs("/jax/something/else", 1e6)

    engine.run([0])
    compiled = rows_in(tmp_path)[-1]["compile_seconds"]
    assert 0 < compiled < 1e6
    before = heard[0]._compiled
    jax.jit(lambda x: jnp.cos(x) * 7)(jnp.ones([3]))
    assert heard[0]._compiled == before


def _until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_figure_is_nan(tmp_path):
    engine = Engine(lambda engine, batch: None)
    engine.attach(System(tmp_path))
    engine.run([0] * 3)
    assert all(math.isfinite(value) for row in rows_in(tmp_path) for value in row.values())
