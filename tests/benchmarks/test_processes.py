"""What is measured runs in processes of their own, that say what went wrong in them."""

from __future__ import annotations

import collections
import math
import os
import time

import pytest

from benchmarks.processes import OwnProcess, ProcessFailed, Stopwatch


def test_functions_are_called_elsewhere():
    with OwnProcess("other") as process:
        assert process.call(math.sqrt, 9.0) == 3.0
        assert process.call(os.getpid) == process.call(os.getpid) != os.getpid()


def test_an_object_stays_there():
    with OwnProcess("other") as process:
        process.make(collections.Counter, "abba")
        assert process.ask("total") == 4
        process.make(collections.Counter, "a")
        assert process.ask("total") == 1


def test_an_error_there_is_told_here_and_the_process_goes_on():
    with OwnProcess("other") as process:
        with pytest.raises(ProcessFailed, match=r"other: .*sqrt(.|\n)*Traceback") as failed:
            process.call(math.sqrt, -1.0)
        assert failed.value.why.startswith("ValueError: ")
        assert process.call(math.sqrt, 4.0) == 2.0


def test_a_process_that_ends_is_told():
    with OwnProcess("other") as process, pytest.raises(ProcessFailed, match=r"other: .*code 3"):
        process.call(os._exit, 3)


def test_what_takes_too_long_is_ended():
    with OwnProcess("other") as process:
        pid = process.call(os.getpid)
        with pytest.raises(TimeoutError, match=r"not done in 0 s"):
            process.call(time.sleep, 600.0, seconds=0.01)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_the_environment_is_the_processs_alone(monkeypatch):
    monkeypatch.setenv("TAKEN_AWAY", "1")
    monkeypatch.delenv("GIVEN", raising=False)
    with OwnProcess("other", environment={"GIVEN": "2", "TAKEN_AWAY": ""}) as process:
        assert process.call(os.getenv, "GIVEN") == "2"
        assert process.call(os.getenv, "TAKEN_AWAY") is None
    assert os.getenv("TAKEN_AWAY") == "1"
    assert os.getenv("GIVEN") is None


def test_cores_are_those_that_are_given():
    with OwnProcess("other", cores=1) as process:
        assert len(process.call(os.sched_getaffinity, 0)) == 1


def test_rates_are_per_second_of_each_clock(monkeypatch):
    clocks = {"perf_counter": iter([10.0, 14.0]), "process_time": iter([1.0, 3.0])}
    for name, readings in clocks.items():
        monkeypatch.setattr(f"benchmarks.processes.time.{name}", readings.__next__)
    assert Stopwatch().rates(8) == {"clock": 2.0, "processor": 4.0}
