"""Real processes over the loopback: as schedulers start them, and how they part."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jaxtrain.config.schema import DistributedSection
from jaxtrain.errors import ConfigError
from jaxtrain.parallel import finish, is_first, several, start
from tests import compiling
from tests.processes import run_together

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("scheduler", ["slurm", "mpi4", "mpi5", "job"])
def test_processes_find_each_other_by_what_a_scheduler_sets(scheduler):
    said = run_together("tests/parallel/by_scheduler.py", 2, scheduler)
    assert [text.splitlines()[-1] for text in said] == ["0 of 2: 9", "1 of 2: 9"]


def test_one_process_alone_begins_nothing_and_ends_with_its_code():
    assert not start(None, environ={})
    assert not start(DistributedSection(processes=1), environ={"JAX_PROCESS_ID": "3"})
    assert not jax.distributed.is_initialized()
    assert (is_first(), several()) == (True, False)
    assert [finish(), finish(3)] == [0, 3]


def test_where_jax_was_used_before_it_is_too_late():
    jax.devices()
    section = DistributedSection(coordinator="127.0.0.1:1", processes=2, process=1)
    with pytest.raises(ConfigError, match=r"distributed: .*must be called before any JAX"):
        start(section, environ={})
    assert not jax.distributed.is_initialized()


def test_who_waits_too_long_says_so_and_does_not_crash():
    code = (
        "from jaxtrain.config.schema import DistributedSection as Section;"
        "from jaxtrain.parallel import start;"
        f"start(Section(coordinator='127.0.0.1:{_free_port()}', processes=2, process=1,"
        " start_seconds=1), environ={})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 75
    assert "process 1 has waited 1 s for all 2 processes" in done.stderr
    assert "Check failure" not in done.stderr


@pytest.fixture
def two(tmp_path):
    """Two processes of `engine_run.py`, begun; and what they say."""
    processes = []

    def two(way):
        port, words = str(_free_port()), [sys.executable, "-m", "tests.parallel.engine_run"]
        environ = {**os.environ, **compiling.NOTHING, "JAX_PLATFORMS": "cpu"}
        processes.extend(
            subprocess.Popen(
                [*words, port, number, "2", str(tmp_path / "out"), "1", way],
                cwd=ROOT,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in "01"
        )
        return processes

    yield two
    for process in processes:
        process.kill()
        process.communicate()


def test_who_fails_alone_ends_with_its_code_and_the_others_in_seconds(two):
    first, second = two("alone")
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 3, said
    began = time.monotonic()
    said, _ = first.communicate(timeout=120)
    # Far from a heartbeat, which is a hundred seconds; and no crash of JAX's.
    assert time.monotonic() - began < 30
    assert first.returncode == 75, said
    assert "the run was left by process 1 with code 3" in said
    assert "Check failure" not in said


def test_a_meeting_names_who_is_missing_and_all_may_end_well_behind_it(two):
    first, second = two("missing")
    said, _ = first.communicate(timeout=120)
    assert "nowhere: waited 0.5 s for all 2 processes of the run; missing: 1" in said
    second.communicate(timeout=120)
    assert [first.returncode, second.returncode] == [75, 75]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
