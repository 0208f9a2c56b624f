"""Faults 30 to 32: pipes, terminals and logs that go away while a training writes to them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

STEP = "jaxtrain.engine.device.dispatch:Dispatch.run"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def held(runs, tmp_path):
    """held(streams, inject): a training that stands in its second dispatch, and what it waits for.

    Every epoch, and the end, are yet to be told.
    """
    there = tmp_path / "there"

    def start(streams, *inject):
        hold = ["hold_at", {"target": STEP, "nth": 2, "path": str(there)}]
        words = runs.words(tmp_path / "run")
        process = runs.spawner.start(words, runs.log("run"), [hold, *inject], streams)
        return process, there

    return start


class Terminal:
    """A terminal; closing its window hangs up."""

    def __init__(self):
        self._window, self._line = os.openpty()
        self.path = os.ttyname(self._line)
        self.shown = b""

    def show(self, until):
        """Show what is written, so that nobody waits for room, until the file `until` is there."""
        deadline = time.monotonic() + 60
        os.set_blocking(self._window, False)
        while not until.exists():
            assert time.monotonic() < deadline, self.shown
            with contextlib.suppress(BlockingIOError):
                self.shown += os.read(self._window, 65536)
            time.sleep(0.002)

    def close(self):
        """Once this returns, the signal has been sent."""
        os.close(self._line)
        os.close(self._window)


def test_fault_30_a_pipe_that_closes_does_not_end_a_training(runs, whole, held, tmp_path):
    """C18: `J ... | head -1` died with 1 and no word."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process, there = held([os.devnull, pipe, runs.log("run")])
    with pipe.open() as reader:
        assert reader.readline() == f"run: {tmp_path / 'run'}\n"
        runs.wait_for(there)
    there.unlink()
    assert process.wait() == 0, process.said
    assert process.said == ""
    runs.assert_equal("run", whole)


@pytest.mark.slow
def test_fault_31_a_closed_terminal_saves(runs, whole, held, tmp_path):
    """C27: 129, and nothing was saved. Every write to the bar fails from then on."""
    terminal = Terminal()
    process, there = held([terminal.path] * 3)
    terminal.show(until=there)
    assert b"epoch 1/3" in terminal.shown
    terminal.close()
    there.unlink()
    assert process.wait() == 75
    assert json.loads((tmp_path / "run/metadata.json").read_text())["status"] == "interrupted"
    runs.finish("run", whole)


def test_faults_31_and_32_under_nohup_it_goes_on_though_the_disk_under_its_log_is_full(
    runs, whole, held, tmp_path
):
    terminal = Terminal()
    streams = [terminal.path, "/dev/full", runs.log("run")]
    process, there = held(streams, ["ignore_hangup", {}])
    terminal.show(until=there)
    terminal.close()
    there.unlink()
    assert process.wait() == 0, process.said
    assert process.said.splitlines() == [
        "standard output can't be written to (No space left on device); what follows there is lost"
    ]
    runs.assert_equal("run", whole)


@pytest.mark.slow
def test_fault_30_without_standard_streams_no_file_takes_their_place(runs, whole, tmp_path):
    """C18: `J ... >&-` came out as a traceback. What is printed must not end up in a checkpoint."""
    words = [sys.executable, "-m", "jaxtrain.main", *map(str, runs.words(tmp_path / "run"))]
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
    done = subprocess.run(closing, cwd=ROOT, timeout=300, env=runs.spawner.environment)
    assert done.returncode == 0
    runs.assert_equal("run", whole)
