"""One that sends a run at a time, whether in this process or in another.

    with alone(directory):
        ...

It is the kernel's lock on the directory itself: no file is made, and it ends with its process. It
has nothing to do with the lock of whoever writes the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.errors import ServerError

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05


@contextlib.contextmanager
def alone(directory: Path, *, seconds: float = 60.0) -> Iterator[None]:
    """Wait until nobody else sends `directory`, and keep others waiting.

    Where the file system has no such locks it says so, and locks nobody out: what two send at once
    is still the same to MLflow's databases, but the run may be made twice.

    Args:
        directory: of a run.
        seconds: how long to wait at most.

    Raises:
        ServerError: somebody else is still at it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _acquire(descriptor, directory, seconds)
        yield
    finally:
        # Said, not left to the closing: a child that was forked meanwhile has it open, too.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _acquire(descriptor: int, directory: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise ServerError(
                    f"{directory}: is being sent by somebody else, for more than {seconds:g} s"
                ) from None
            time.sleep(_LOOK_SECONDS)
        except OSError as error:
            logger.warning(
                "%s: can't be locked (%s); see to it yourself that nobody else sends it",
                directory,
                error.strerror,
            )
            return
