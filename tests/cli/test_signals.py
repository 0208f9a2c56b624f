import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from jaxtrain.cli.signals import StopOnSignals, ended_at_once, stop_on_signals
from jaxtrain.engine import Engine, Events

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def own_handlers():
    """Handlers that note what reaches them; what was there before comes back afterwards."""
    reached = []
    before = {}
    for number in NUMBERS:
        before[number] = signal.signal(number, lambda number, frame: reached.append(number))
    handlers = {number: signal.getsignal(number) for number in before}
    yield reached, handlers
    for number, handler in before.items():
        signal.signal(number, handler)


def now():
    return {number: signal.getsignal(number) for number in NUMBERS}


def sending(*numbers, at=2):
    """An engine that sends itself these signals in an iteration."""

    def process(engine, batch):
        if engine.state.iteration == at:
            for number in numbers:
                os.kill(os.getpid(), number)

    return Engine(process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_the_run(own_handlers, number):
    reached, handlers = own_handlers
    engine = sending(number)
    seen = []
    engine.attach_handler(Events.INTERRUPT, lambda engine: seen.append(engine.state.iteration))
    with stop_on_signals(engine):
        state = engine.run([0] * 5)
        # From the first signal on; a terminal that is closed only after that is none.
        assert now() == {**handlers, signal.SIGHUP: signal.SIG_IGN}
    assert (state.iteration, state.stopped, seen) == (2, "interrupt", [2])
    assert reached == []
    assert engine.run([0] * 5).iteration == 5


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_does_what_it_did_before(own_handlers, second):
    reached, _ = own_handlers
    engine = sending(signal.SIGTERM, second)
    with stop_on_signals(engine):
        engine.run([0] * 5)
    assert reached == [second]


def test_a_closed_terminal_interrupts_the_run(own_handlers):
    """C27: the process ended with 129, and nothing was saved."""
    reached, handlers = own_handlers
    # The kernel tells of it, and the shell once more; then somebody wants the process to end.
    engine = sending(signal.SIGHUP, signal.SIGHUP, signal.SIGTERM)
    with stop_on_signals(engine):
        state = engine.run([0] * 5)
        assert (state.iteration, state.stopped) == (2, "interrupt")
        assert reached == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert reached == [signal.SIGTERM]
    assert now() == handlers


def test_where_a_closed_terminal_is_ignored_it_stays_so(own_handlers):
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    engine = sending(signal.SIGHUP)
    with stop_on_signals(engine) as _:
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert engine.run([0] * 5).stopped == ""
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_nobody_need_be_there_to_be_told(monkeypatch):
    """Standard error is the terminal that was closed: every write to it fails."""

    def write(descriptor, data):
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(os, "write", write)
    engine = sending(signal.SIGHUP)
    with stop_on_signals(engine):
        assert engine.run([0] * 5).stopped == "interrupt"


def test_a_second_ctrl_c_is_a_keyboard_interrupt():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    engine = sending(signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_signals(engine):
        engine.run([0] * 5)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_before_the_run_is_not_lost(own_handlers):
    engine = sending()
    with stop_on_signals(engine):
        os.kill(os.getpid(), signal.SIGTERM)
        state = engine.run([0] * 5)
    assert (state.iteration, state.stopped) == (0, "interrupt")


def test_a_signal_before_there_is_an_engine_is_not_lost(own_handlers, capfd):
    reached, handlers = own_handlers
    with StopOnSignals() as signals:
        assert not signals.received
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received
        assert now() == {**handlers, signal.SIGHUP: signal.SIG_IGN}
        engine = sending()
        with signals.guard(engine):
            state = engine.run([0] * 5)
    assert (state.iteration, state.stopped, reached) == (0, "interrupt", [])
    assert "stopping at the next safe place" in capfd.readouterr().err


def test_a_signal_after_the_guarded_run_touches_no_engine(own_handlers):
    engine = sending()
    with StopOnSignals() as signals:
        with signals.guard(engine):
            engine.run([0] * 5)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received
    assert engine.run([0] * 5).stopped == ""


def test_what_the_second_signal_does_can_be_said(own_handlers):
    reached, handlers = own_handlers
    ended = []
    with StopOnSignals(second=lambda number, frame: ended.append(number)):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
    assert (reached, ended) == ([], [signal.SIGTERM, signal.SIGINT])
    assert now() == handlers


def test_without_a_signal_all_is_as_before(own_handlers):
    reached, handlers = own_handlers
    engine = sending()
    with stop_on_signals(engine):
        assert now() != handlers
        assert engine.run([0] * 5).stopped == ""
    assert now() == handlers
    os.kill(os.getpid(), signal.SIGTERM)
    assert reached == [signal.SIGTERM]


def test_an_exception_puts_the_handlers_back(own_handlers):
    _, handlers = own_handlers

    def process(engine, batch):
        raise RuntimeError("in the step")

    engine = Engine(process)
    with pytest.raises(RuntimeError), stop_on_signals(engine):
        engine.run([0])
    assert now() == handlers


def test_other_signals_are_left_alone():
    before = signal.getsignal(signal.SIGUSR1)
    with stop_on_signals(sending()):
        assert signal.getsignal(signal.SIGUSR1) is before


def test_in_another_thread_it_does_nothing(own_handlers):
    _, handlers = own_handlers
    states = []

    def work():
        engine = sending()
        with stop_on_signals(engine):
            states.append((engine.run([0] * 3).iteration, now()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert states == [(3, handlers)]


WAITS = """
import gc, os, signal, sys
from jaxtrain.cli.signals import ended_at_once

def callback(phase, info):  # as XLA's, in which what Python raises is lost
    os.kill(os.getpid(), signal.SIGINT)

with ended_at_once():
    gc.callbacks.append(callback)
    gc.collect()
print("went on")
"""


def test_ctrl_c_ends_what_has_nothing_to_save_whatever_it_is_doing():
    done = subprocess.run([sys.executable, "-c", WAITS], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "")
    assert done.stderr == "\nstopped at once\n"


def test_ctrl_c_is_what_it_was_behind_it():
    before = signal.getsignal(signal.SIGINT)
    with ended_at_once():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
