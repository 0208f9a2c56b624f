"""Standard streams that are closed or broken. Whole trainings: tests/faults/test_streams.py."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxtrain.cli.streams import Unbreakable, unbreakable

ROOT = Path(__file__).parents[2]


def script(closing: str, code: str) -> subprocess.CompletedProcess[str]:
    """What a Python that has some standard streams closed says on the others."""
    words = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )


OPENS = """
import os, sys, tempfile
from jaxtrain.cli.streams import open_missing, unbreakable
open_missing()
with unbreakable():
    file = tempfile.TemporaryFile()
    print("out", os.isatty(0), sys.stdout.isatty(), sys.stdin.read())
    print("err", file=sys.stderr)
    assert file.fileno() > 2, file.fileno()
    os.write(1, b"raw"); os.write(2, b"raw")
    file.seek(0)
    assert file.read() == b""; file.close()
    sys.exit(7)
"""


@pytest.mark.parametrize(
    ("closing", "out", "err"),
    [
        ("", "rawout False False \n", "err\nraw"),
        ("<&-", "rawout False False \n", "err\nraw"),
        (">&-", "", "err\nraw"),
        ("2>&-", "rawout False False \n", ""),
        ("<&- >&- 2>&-", "", ""),
    ],
)
def test_no_file_takes_the_place_of_a_closed_stream(closing, out, err):
    """C18: `J ... >&-` came out as a traceback."""
    done = script(closing, OPENS)
    assert (done.returncode, done.stdout, done.stderr) == (7, out, err)


WRITES = """
import logging, os, sys
from jaxtrain.cli.streams import unbreakable
reading, writing = os.pipe()
os.dup2(writing, {number})
os.close(writing); os.close(reading)
with unbreakable():
    logging.basicConfig(level="INFO")
    from rich.console import Console
    for _ in range(2000):
        print("x" * 100)
        print("x", file=sys.stderr, flush=True)
        logging.info("x")
        Console(file=sys.stdout).print("x")
        Console(file=sys.stderr).print("x")
    os.write({number}, b"as a library in C does")
print("after"); print("after", file=sys.stderr)
"""


@pytest.mark.parametrize(("number", "other"), [(1, "stderr"), (2, "stdout")])
def test_whoever_writes_to_a_broken_stream_goes_on(number, other):
    """C18: BrokenPipeError wherever it happened to be noticed, and once more at the exit."""
    done = script("", WRITES.format(number=number))
    assert done.returncode == 0
    assert getattr(done, other).endswith("after\n")
    assert "Error" not in done.stderr
    assert (done.stdout if number == 1 else done.stderr) == ""


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for number in (reading, writing):
        os.close(number)


def test_what_is_written_arrives_whole(pipe):
    reading, writing = pipe
    stream = Unbreakable(writing)
    assert stream.write(b"abc") == 3
    assert os.read(reading, 10) == b"abc"
    assert (stream.fileno(), stream.writable(), stream.isatty()) == (writing, True, False)
    stream.close()
    assert os.write(writing, b"d") == 1, "the descriptor is not the stream's to close"


def test_a_pipe_that_does_not_wait_is_waited_for(pipe):
    """Another process, of node for instance, makes the pipe that both write to such a one."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    data = bytes(range(256)) * 2000  # eight times what a pipe holds
    got = bytearray()

    def read():
        while len(got) < len(data):
            got.extend(os.read(reading, 65536))

    reader = threading.Thread(target=read)
    reader.start()
    stream, sent = Unbreakable(writing), 0
    while sent < len(data):
        sent += stream.write(data[sent:])
    reader.join(60)
    assert bytes(got) == data


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EPIPE, False), (errno.EIO, False), (errno.ENOSPC, True), (errno.EDQUOT, True)],
)
def test_a_break_is_told_on_the_other_stream_where_somebody_may_be(monkeypatch, number, says):
    calls = []

    def write(descriptor, data):
        calls.append((descriptor, bytes(data)))
        if descriptor == 1:
            raise OSError(number, os.strerror(number))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "dup2", lambda source, target: calls.append(("dup2", target)))
    stream = Unbreakable(1)
    assert stream.write(b"abc") == 3
    assert (stream.lost is not None) is says
    assert calls[:2] == [(1, b"abc"), ("dup2", 1)]
    told = [data.decode() for descriptor, data in calls[2:]]
    words = f"standard output can't be written to ({os.strerror(number)}); what follows there is"
    assert told == ([f"{words} lost\n"] if says else [])


@pytest.mark.parametrize("into", ["/dev/full", "/dev/null"])
def test_what_was_printed_for_somebody_and_is_lost_is_known(into):
    """`predict ... > predictions.csv` on a full disk must not be exit 0."""
    code = (
        "import sys\nfrom jaxtrain.cli.streams import unbreakable\n"
        "with unbreakable() as lost:\n    print('row')\n    sys.exit(lost() is not None)\n"
    )
    done = script(f"> {into}", code)
    assert done.returncode == (into == "/dev/full")


def test_somebody_elses_streams_are_left_alone(capsys):
    before = sys.stdout, sys.stderr
    with unbreakable() as lost:
        assert (sys.stdout, sys.stderr) == before
        print("seen")
        assert lost() is None
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "seen\n"


def test_a_character_that_the_encoding_lacks_is_no_error():
    code = (
        "import sys\nfrom jaxtrain.cli.streams import unbreakable\n"
        "with unbreakable():\n    print('a\\u2501\\udcff', sys.stdout.encoding)\n"
    )
    done = script("", f"import os; os.environ['x'] = ''\n{code}")
    assert done.returncode == 0
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.stdout == b"a\\u2501\\udcff ascii\n"
