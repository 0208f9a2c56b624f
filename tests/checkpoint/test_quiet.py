"""A failed write is told once."""

from __future__ import annotations

import asyncio
import errno
import logging
import subprocess
import sys
import types

import pytest

from jaxtrain.checkpoint import quiet
from jaxtrain.checkpoint.quiet import quiet_writing

TENSORSTORE = (
    'RESOURCE_EXHAUSTED: Error opening "zarr3" driver: Failed to write 265 bytes to file 15: No '
    "space left on device [os_error_code='28'] [tensorstore_spec='{\"context\":{}}'] [source "
    "locations='a.cc:1\nb.cc:2']"
)
LOGGED = "[process=%d][thread=%s][operation_id=%s] _SignalingThread.run() raised an exception: %s"


@pytest.fixture
def hook(monkeypatch):
    """The unraisable ones that came through to whoever was there before."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    return told


def left_over(**changes):
    """What tensorstore's threads meet when the loop that waits for them is closed."""
    loop = asyncio.new_event_loop()
    loop.close()
    try:
        loop.call_soon_threadsafe(print)
    except RuntimeError as error:
        # They call from C++: no frame of this test is in the traceback.
        found = {"exc_value": error, "exc_traceback": error.__traceback__.tb_next, "object": None}
        return types.SimpleNamespace(**{**found, **changes})


def test_what_the_system_said_comes_out_with_the_place(tmp_path):
    with pytest.raises(OSError) as raised, quiet_writing(tmp_path / "arrays"):
        raise ValueError(TENSORSTORE)
    assert raised.value.errno == errno.ENOSPC
    assert str(raised.value) == f"[Errno 28] No space left on device: '{tmp_path / 'arrays'}'"


def test_an_error_of_the_system_gets_the_place(tmp_path):
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*arrays'"),
        quiet_writing(tmp_path / "arrays"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_has_no_number_loses_its_page_of_settings(tmp_path):
    text = TENSORSTORE.replace("[os_error_code='28'] ", "")
    with pytest.raises(ValueError, match=r"No space left on device$"), quiet_writing(tmp_path):
        raise ValueError(text)


def test_what_orbax_logs_of_an_error_that_it_raises_is_held_back_while_we_write(caplog, hook):
    logger = logging.getLogger("absl")
    with quiet_writing("here"):
        logger.error(LOGGED, 0, "a", 3, "disk full")
        logger.warning("something else")
    logger.error(LOGGED, 0, "b", 4, "another's")
    assert [record.getMessage()[-9:] for record in caplog.records] == ["hing else", "another's"]


def test_what_was_left_over_is_held_back_whenever_it_comes_and_nothing_else_is(hook):
    with quiet_writing("here"):
        pass
    sys.unraisablehook(left_over())
    assert hook == []
    others = [
        left_over(object=print),
        left_over(exc_value=RuntimeError("Event loop is closed"), exc_traceback=None),
        left_over(exc_value=OSError("x")),
    ]
    for other in others:
        sys.unraisablehook(other)
    assert hook == others


def test_the_filters_are_put_in_place_once_and_under_another_ones_hook(hook, monkeypatch):
    with quiet_writing("here"):
        first = sys.unraisablehook
    with quiet_writing("here"):
        assert sys.unraisablehook is first
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: first(unraisable))
    with quiet_writing("here"):
        pass
    other = left_over(object=print)
    sys.unraisablehook(other)  # theirs calls ours, ours theirs; not for ever
    assert hook == [other]
    assert logging.getLogger("absl").filters.count(quiet._is_worth_a_line) == 1


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from jaxtrain.checkpoint.arrays import write_arrays
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))   # a file may not get larger: EFBIG
try:
    write_arrays(Path(sys.argv[1]), {f"w/{i}": np.random.normal(size=900) for i in range(40)})
except OSError as error:
    print("raised", error)
"""


def test_a_write_that_fails_in_orbax_says_one_line(tmp_path):
    """At 888f0db a hundred lines of tracebacks came first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "arrays")], capture_output=True, text=True
    )
    assert done.stdout == f"raised [Errno 27] File too large: '{tmp_path / 'arrays'}'\n"
    assert done.stderr == ""
    assert done.returncode == 0
