import errno
import fcntl
import logging
import os
import socket
import subprocess
import sys

import pytest

from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.files.anchor import refuse_gone
from jaxtrain.files.lock import NAME, lock

HOLD = (
    "import sys, time; from pathlib import Path; from jaxtrain.files.lock import lock\n"
    "with lock(Path(sys.argv[1])) as introduce:\n"
    "    introduce()\n"
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
    with lock(tmp_path) as introduce:
        assert "in use by another process" in refused(tmp_path)
        introduce()
        assert f"in use by process {os.getpid()} on " in refused(tmp_path)
    with lock(tmp_path):
        pass
    assert (tmp_path / NAME).read_text() == ""


def test_what_to_do_is_said_in_the_rooms_own_words(tmp_path):
    """Whoever calls it knows by what option the directory was chosen."""
    with lock(tmp_path) as introduce:
        introduce()
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
        with lock(tmp_path) as introduce:
            introduce()
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


def times(path) -> tuple[int, int]:
    return path.stat().st_mtime_ns, path.stat().st_size


@pytest.mark.parametrize("there", [True, False])
def test_who_leaves_without_an_introduction_leaves_no_trace(tmp_path, there):
    """At 888f0db a refused command had rewritten the lock file, which another then named."""
    if there:
        (tmp_path / NAME).write_text('{"pid": 7, "host": "there", "since": "then"}')
    (tmp_path / "other").touch()
    os.utime(tmp_path, ns=(5 * 10**18, 10**18))
    before = {path: times(path) for path in (tmp_path, *tmp_path.iterdir())}
    with lock(tmp_path):
        pass
    with pytest.raises(KeyError), lock(tmp_path):
        raise KeyError
    assert {path: times(path) for path in (tmp_path, *tmp_path.iterdir())} == before


def test_who_was_introduced_leaves_an_empty_file(tmp_path):
    with lock(tmp_path) as introduce:
        introduce()
    assert (tmp_path / NAME).read_text() == ""


def test_a_lock_on_a_file_that_is_no_longer_there_is_none(tmp_path, monkeypatch):
    """Somebody took back the one that was opened here: another can be locked by now."""
    flock = fcntl.flock

    def lose_it(descriptor, operation):
        (tmp_path / NAME).unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lose_it)
    with pytest.raises(ConfigError, match="in use by"), lock(tmp_path):
        pass


def test_the_directory_is_anchored_meanwhile(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with lock(run) as introduce:
        introduce()
        run.rename(tmp_path / "elsewhere")
        with pytest.raises(CheckpointError, match="the directory is gone"):
            refuse_gone(run / "metrics.jsonl")
    assert (tmp_path / "elsewhere" / NAME).read_text() == ""


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*\.lock'"), lock(tmp_path) as it:
        it()
