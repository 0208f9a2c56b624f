"""A failed write told once, in a line: what orbax and tensorstore say of it besides is held back.

    with quiet_writing(directory):
        checkpointer.save(...)          # OSError: [Errno 28] No space left on device: DIRECTORY

On a full disk each of orbax's threads logs the error that its caller is raised as well, with a
traceback; and what tensorstore had still under way finds the event loop closed that was waiting for
it, a traceback each. Nothing but these two is held back, and the first only inside of this context.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# What the library underneath was told by the system.
_ERRNO = re.compile(r"\[os_error_code='(\d{1,4})'\]")
# What it adds for its own authors: where in its source, and a page of settings.
_DETAILS = re.compile(r" \[(?:source locations|tensorstore_spec)=.*", re.DOTALL)
_MARK = "jaxtrain_quiet"
_LOGGED = "_SignalingThread.run() raised an exception"

_lock = threading.Lock()
_writing = 0


@contextlib.contextmanager
def quiet_writing(directory: Path) -> Iterator[None]:
    """Raise what goes wrong with the disk as one OSError that names `directory`.

    Raises:
        OSError: with the system's own number and words where it gave them.
    """
    global _writing
    with _lock:
        _writing += 1
        _hold_back()
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(directory)
        raise
    except ValueError as error:  # as which tensorstore raises all of its own
        raise _as_os_error(error, directory) from error
    finally:
        with _lock:
            _writing -= 1


def _as_os_error(error: ValueError, directory: Path) -> Exception:
    text = str(error)
    if found := _ERRNO.search(text):
        number = int(found[1])
        return OSError(number, os.strerror(number), str(directory))
    return ValueError(_DETAILS.sub("", text))


def _hold_back() -> None:
    """Put the two filters in place, unless they are."""
    logger = logging.getLogger("absl")
    if _is_worth_a_line not in logger.filters:
        logger.addFilter(_is_worth_a_line)
    if not hasattr(sys.unraisablehook, _MARK):
        sys.unraisablehook = _tell_unless_left_over(sys.unraisablehook)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return not (_writing and _LOGGED in str(record.msg))


def _tell_unless_left_over(before: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A hook for what can't be raised anywhere; this may come long after the write."""

    def hook(unraisable: Any) -> None:
        if not _is_left_over(unraisable):
            before(unraisable)

    setattr(hook, _MARK, True)
    return hook


def _is_left_over(unraisable: Any) -> bool:
    if not isinstance(unraisable.exc_value, RuntimeError) or unraisable.object is not None:
        return False
    frames = traceback.extract_tb(unraisable.exc_traceback)
    return [frame.name for frame in frames] == ["call_soon_threadsafe", "_check_closed"]
