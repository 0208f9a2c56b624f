"""A line at the end of a file."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from jaxtrain.errors import CheckpointError
from jaxtrain.files.anchor import anchored
from jaxtrain.files.append import append_line


def test_lines_come_one_after_the_other(tmp_path):
    path = tmp_path / "log"
    for line in (b"one\n", b"two\n"):
        append_line(path, line, sync=True)
    assert path.read_bytes() == b"one\ntwo\n"


def test_what_could_be_written_in_part_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "log"
    append_line(path, b"one\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    with pytest.raises(OSError, match=r"No space left on device: '.*log'") as raised:
        append_line(path, b"two\n")
    assert raised.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"one\n"


def test_a_failure_names_the_file(tmp_path, monkeypatch):
    def fail(descriptor, data):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*log'"):
        append_line(tmp_path / "log", b"one\n")


def test_no_directory_is_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        append_line(tmp_path / "gone" / "log", b"one\n")


def test_one_that_was_made_anew_is_another(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with anchored(run):
        append_line(run / "log", b"one\n")
        shutil.rmtree(run)
        run.mkdir()
        with pytest.raises(CheckpointError, match="gone"):
            append_line(run / "log", b"two\n")
    assert list(run.iterdir()) == []
