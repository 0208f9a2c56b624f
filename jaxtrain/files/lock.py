"""One process a directory, by a lock that ends with its process, however that ends.

    with lock(directory) as introduce:           # ConfigError, and who has it, if it is taken
        ...                                      # nothing is touched: one may still have to leave
        introduce()                              # from now on others are told who is here

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
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxtrain.errors import ConfigError
from jaxtrain.files.anchor import anchored

logger = logging.getLogger(__name__)

NAME = ".lock"

# What a file system without locks answers (some network ones).
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

_held: set[int] = set()


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[Callable[[], None]]:
    """Hold `directory`, which must be there, for this process alone; it is anchored meanwhile.

    Whoever leaves without an introduction leaves no trace: no byte, name or time is another.

    Returns:
        A function that writes into the lock file who holds it, and since when.

    Raises:
        ConfigError: another process, or this one, holds it; it is named.
    """
    before = os.stat(directory)
    descriptor, is_new = _open(directory / NAME)
    _held.add(descriptor)
    introduced = False

    def introduce() -> None:
        nonlocal introduced
        introduced = True
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _introduction(), 0)
        except OSError as error:  # a full disk: the descriptor does not know its file
            error.filename = str(directory / NAME)
            raise

    try:
        _acquire(descriptor, directory)
        try:
            with anchored(directory):
                yield introduce
        finally:
            if is_new and not introduced:
                _take_back(directory, before)
        if introduced and descriptor in _held:
            # Emptied, not deleted: who has opened it meanwhile would lock a file that nobody else
            # can see.
            os.ftruncate(descriptor, 0)
    finally:
        _let_go(descriptor)


def seems_held(directory: Path) -> bool:
    """Whether somebody says in the lock file that he holds it, and is not known to be dead.

    For those who only look: the lock itself is not tried, which could make one who just takes it
    believe that it is taken.
    """
    try:
        who = json.loads((directory / NAME).read_bytes())
        pid, host = int(who["pid"]), who["host"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, or no number of a process
        pass
    return True


def _open(path: Path) -> tuple[int, bool]:
    """The file at `path`, and whether it was made by this call."""
    # Not truncated by opening: until the lock is ours, what is in the file is the holder's.
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags | os.O_CREAT, 0o644), False


def _take_back(directory: Path, before: os.stat_result) -> None:
    """Undo the making of the lock file, as if nobody had been there."""
    with contextlib.suppress(OSError):
        (directory / NAME).unlink()
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


def _acquire(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(descriptor, directory / NAME):
            raise BlockingIOError  # another process made it, and takes it back just now
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


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one of that name: a lock on any other keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _introduction() -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}).encode()


def _holder(descriptor: int) -> str:
    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (ValueError, TypeError, KeyError, RecursionError):  # it is just writing it
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
