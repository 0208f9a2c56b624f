import io
import sys

import pytest

from jaxtrain.engine import Events
from jaxtrain.hooks import Progress
from jaxtrain.hooks import progress as module


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: clock[0]."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_plain_lines_now_and_then_where_there_is_no_terminal(make_engine, clock):
    stream = io.StringIO()
    engine = make_engine(loss=lambda i: 1 / i)
    engine.attach(Progress(stream))
    engine.attach_handler(Events.ITERATION_STARTED, lambda: clock.__setitem__(0, clock[0] + 0.7))
    engine.run([0] * 30, max_epochs=2)
    assert stream.getvalue().splitlines() == [
        "epoch 1/2  iteration 15/60  loss 0.0667  1.4 steps/s",
        "epoch 1/2  iteration 30/60  loss 0.0333  1.4 steps/s",
        "epoch 2/2  iteration 45/60  loss 0.0222  1.4 steps/s",
        "epoch 2/2  iteration 60/60  loss 0.0167  1.4 steps/s",
    ]


def test_the_device_is_read_only_when_a_refresh_is_due(make_engine, clock, monkeypatch):
    engine = make_engine(loss=1.0)
    reads = []
    monkeypatch.setattr(engine, "scalars", lambda: reads.append(1) or {})
    engine.attach(Progress(io.StringIO()))
    engine.run([0] * 1000)
    assert reads == []
    assert engine.plan.next_cut(0) is None, "nor does a dispatch end for it"


def test_a_bar_on_a_terminal(make_engine, terminal):
    engine = make_engine(loss=0.125)
    engine.attach(Progress(terminal, seconds=1e-9))
    engine.run([0] * 4, max_epochs=2)
    text = terminal.getvalue()
    assert "epoch 2/2" in text
    assert "8/8" in text
    assert "loss 0.1250" in text
    assert text.endswith("\x1b[?25h"), "the cursor is shown again"


def test_an_unknown_length_is_no_obstacle(make_engine, terminal, clock):
    stream = io.StringIO()
    engine = make_engine()
    engine.attach(Progress(terminal, seconds=1e-9), name="bar")
    engine.attach(Progress(stream, seconds=1e-9), name="lines")
    engine.attach_handler(Events.ITERATION_STARTED, lambda: clock.__setitem__(0, clock[0] + 10))
    engine.run(iter([0, 0]))
    assert stream.getvalue().splitlines()[0] == "epoch 1/1  iteration 1  0.1 steps/s"


def test_an_error_takes_the_bar_away_and_gives_stdout_back(make_engine, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    engine = make_engine(loss=lambda i: 1 / (3 - i))
    engine.attach(Progress())
    with pytest.raises(ZeroDivisionError):
        engine.run([0] * 5)
    assert sys.stdout is terminal
    assert terminal.getvalue().endswith("\x1b[?25h")


def test_what_is_printed_meanwhile_stands_above_the_bar(make_engine, terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal)
    engine = make_engine()
    engine.attach(Progress(seconds=1e-9))
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda: print("an epoch is over"))
    engine.run([0] * 3, max_epochs=2)
    assert terminal.getvalue().count("an epoch is over\n") == 2


def test_the_speed_of_a_run_that_goes_on_counts_from_there(make_engine, clock):
    stream = io.StringIO()
    engine = make_engine()
    engine.attach(Progress(stream))
    clock[0], engine.state.iteration, engine.state.epoch = 100.0, 10, 1
    engine.fire(Events.RESUMED)
    clock[0], engine.state.iteration = 110.0, 20
    engine.fire(Events.ITERATION_COMPLETED)
    assert stream.getvalue() == "epoch 1  iteration 20  1 steps/s\n"
