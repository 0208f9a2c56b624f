"""One process a directory, by a lock that ends with its process, however that ends.

    with lock(directory):                        # ConfigError, and who has it, if it is taken
        ...

The kernel holds the lock (`flock`), not the file: a file that a killed process left behind locks
nothing. What is written in it only tells others who is there.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.errors import ConfigError

logger = logging.getLogger(__name__)

NAME = ".lock"

# What a file system without locks answers (some network ones).
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

_held: set[int] = set()


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold `directory`, which must be there, for this process alone.

    Raises:
        ConfigError: another process, or this one, holds it; it is named.
    """
    # Not truncated by opening: until the lock is ours, what is in the file is the holder's.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(directory / NAME, flags, 0o644)
    _held.add(descriptor)
    try:
        _acquire(descriptor, directory)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _introduction(), 0)
        yield
        if descriptor in _held:
            # Emptied, not deleted: who has opened it meanwhile would lock a file that nobody else
            # can see.
            os.ftruncate(descriptor, 0)
    finally:
        _let_go(descriptor)


def _acquire(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"{directory}: in use by {_holder(descriptor)}; wait for it to end, or choose another "
            "directory"
        ) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        logger.warning(
            "%s: this file system has no locks (%s); see to it yourself that no other process "
            "uses the directory",
            directory,
            error.strerror,
        )


def _introduction() -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}).encode()


def _holder(descriptor: int) -> str:
    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (ValueError, TypeError, KeyError):  # it is just writing it
        return "another process"


def _let_go(descriptor: int) -> None:
    if descriptor in _held:
        _held.discard(descriptor)
        os.close(descriptor)


def _forget() -> None:
    """In a forked child, which shares the lock: it must not keep it when the parent is dead."""
    for descriptor in list(_held):
        _let_go(descriptor)


os.register_at_fork(after_in_child=_forget)
