import errno
import fcntl
import logging
import os
import socket
import subprocess
import sys

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.files.lock import NAME, lock

HOLD = (
    "import sys, time; from pathlib import Path; from jaxtrain.files.lock import lock\n"
    "with lock(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    {then}\n"
)


def holder(directory, then: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def refused(directory) -> str:
    with pytest.raises(ConfigError) as raised, lock(directory):
        pass
    return str(raised.value)


def test_only_one_at_a_time_even_in_one_process(tmp_path):
    with lock(tmp_path):
        assert f"in use by process {os.getpid()} on " in refused(tmp_path)
    with lock(tmp_path):
        pass
    assert (tmp_path / NAME).read_text() == ""


def test_what_to_do_is_said_in_the_rooms_own_words(tmp_path):
    """Whoever calls it knows by what option the directory was chosen."""
    with lock(tmp_path):
        said = refused(tmp_path)
    assert said.startswith(f"{tmp_path}: in use by process ")
    assert said.endswith("; wait for it to end, or choose another directory")
    assert "--" not in said


def test_another_process_is_named_and_keeps_nothing_when_killed(tmp_path):
    with holder(tmp_path, "time.sleep(60)") as process:
        said = refused(tmp_path)
        assert f"in use by process {process.pid} on {socket.gethostname()} since 20" in said
        process.kill()
        process.wait()
        with lock(tmp_path):
            assert f'"pid": {os.getpid()}' in (tmp_path / NAME).read_text()


def test_a_forked_child_that_outlives_its_parent_does_not_keep_it(tmp_path):
    """Such as a worker process of a loader."""
    then = (
        "import os; os.fork() or (print('forked', flush=True), sys.stdin.read(), os._exit(0));"
        " os.kill(os.getpid(), 9)"
    )
    with holder(tmp_path, then) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"  # it lives until its input is closed
        process.wait()
        with lock(tmp_path):
            pass


def test_an_error_inside_lets_go_of_it(tmp_path):
    with pytest.raises(KeyError), lock(tmp_path):
        raise KeyError
    with lock(tmp_path):
        pass


def test_a_link_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / NAME).symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"), lock(tmp_path):
        pass
    assert outside.read_text() == "precious"


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, caplog):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING), lock(tmp_path):
        pass
    assert "this file system has no locks (No locks available)" in caplog.text
