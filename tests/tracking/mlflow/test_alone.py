"""One at a time, in this process and in others."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from jaxtrain.errors import ServerError
from jaxtrain.tracking.mlflow import alone as module
from jaxtrain.tracking.mlflow.alone import alone


def test_a_second_one_waits_and_gives_up_when_told(tmp_path):
    refused = pytest.raises(ServerError, match="somebody else")
    with alone(tmp_path), refused, alone(tmp_path, seconds=0.1):
        pass
    with alone(tmp_path, seconds=0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_it_comes_in_when_the_first_one_leaves(tmp_path):
    order = []
    with alone(tmp_path):
        thread = threading.Thread(target=lambda: _enter(tmp_path, order))
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def _enter(directory, order):
    with alone(directory):
        order.append("second")


FORKS = """
import os, sys
from pathlib import Path
from jaxtrain.tracking.mlflow.alone import alone

reading, writing = os.pipe()
with alone(Path(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.read(reading, 1)  # it lives on
        os._exit(0)
try:
    with alone(Path(sys.argv[1]), seconds=1):
        print("had it")
finally:
    os.write(writing, b"x")
    os.waitpid(child, 0)
"""


def test_a_forked_child_keeps_nobody_out(tmp_path):
    """What it has open from before the fork is the same lock. In a process without JAX, which
    warns of every fork.
    """
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "had it\n"), done.stderr


def test_a_file_system_without_locks_is_told_of_and_locks_nobody_out(tmp_path, monkeypatch, caplog):
    def refuse(descriptor, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(module.fcntl, "flock", refuse)
    with alone(tmp_path), alone(tmp_path):
        pass
    assert "can't be locked (Operation not supported)" in caplog.text
