"""Ctrl-C at any instant: the state is whole, and the run goes on."""

import os
import signal
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import pytest

from jaxtrain.engine import Engine, Events, ctrl_c
from tests import compiling

MANY = """
import os, random, signal, sys, threading, time
import jax, jax.numpy as jnp
from jaxtrain.engine import Engine, Events

form, every, tries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BATCHES = [jnp.float32(1)] * 8


def step(state, batch):
    return {"sum": state["sum"] + batch, "n": state["n"] + 1}, {"loss": batch}


random.seed(1)
engine = Engine(step, {"sum": jnp.float32(0), "n": jnp.int32(0)}, form=form)
engine.attach_handler(Events.ITERATION_COMPLETED(every=every), lambda: None)
engine.run(BATCHES, max_epochs=1)
interrupted = 0
for number in range(tries):
    timer = threading.Timer(random.uniform(0.001, 0.02), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        engine.run(BATCHES, max_epochs=10**6)
    except KeyboardInterrupt:
        interrupted += 1
    timer.join()
    state = jax.device_get(engine.state.train_state)  # "Array has been deleted", where it is lost
    assert int(state["n"]) == int(state["sum"]) == engine.state.iteration, (number, state)
print(interrupted)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("form", "every"), [("fused", 1), ("fused", 10), ("single", 1)])
def test_no_state_is_lost_in_two_hundred_tries(form, every):
    """L1: the smallest model, where a dispatch is nearly all that there is."""
    tries = 67
    done = subprocess.run(
        [sys.executable, "-c", MANY, form, str(every), str(tries)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **compiling.READS},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == tries


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_it_waits_while_something_is_held():
    order = []

    def run():
        with ctrl_c.deferred():
            with ctrl_c.held:
                with ctrl_c.held:
                    press()
                    order.append("inner")
                order.append("outer")
            order.append("never")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert order == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_one_does_not_wait():
    order = []

    def run():
        with ctrl_c.deferred(), ctrl_c.held:
            press()
            order.append("first")
            press()
            order.append("never")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert order == ["first"]


def test_elsewhere_it_is_raised_at_once():
    order = []

    def run():
        with ctrl_c.deferred():
            press()
            order.append("never")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert order == []


def test_a_programs_own_handler_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("own"))
    try:
        with ctrl_c.deferred(), ctrl_c.held:
            os.kill(os.getpid(), signal.SIGINT)
            assert seen == ["own"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_runs_without_it():
    found = []

    def run():
        engine = Engine(lambda s, b: (s + b, {}), jnp.float32(0))
        found.append(float(engine.run([jnp.float32(1)] * 3).train_state))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [3]
    assert ctrl_c.held.depth == 0


def test_in_a_handler_the_run_is_left_and_goes_on():
    engine = Engine(lambda s, b: (s + b, {}), jnp.float32(0))
    handle = engine.attach_handler(
        Events.ITERATION_COMPLETED(once=2), lambda: os.kill(os.getpid(), signal.SIGINT)
    )
    raised = []
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: raised.append(type(error)))
    batches = [jnp.float32(x) for x in (1, 2, 4, 8)]
    with pytest.raises(KeyboardInterrupt):
        engine.run(batches)
    assert raised == [KeyboardInterrupt]
    assert (engine.state.iteration, engine.state.stopped) == (2, "failed")
    assert float(engine.state.train_state) == 3
    handle.remove()
    assert float(engine.run(batches).train_state) == 15
    assert jax.block_until_ready(engine.state.train_state) == 15
