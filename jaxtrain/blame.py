"""What an exception is about: whose line it came through, and what it says in a line of its own.

    try:
        factory()
    except Exception as error:
        raise ConfigError(f"{place_of(error)}: {error}") from error      # "mine.py:12: ..."

A plugin, a config.py, a notebook's cell are a user's own; this package, what is installed beside
it and Python's library are not.
"""

from __future__ import annotations

import errno
import sysconfig
import traceback
from functools import cache
from pathlib import Path

STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
"""The numbers of an OSError that mean a disk that is full or broken, whatever was done to it."""

_LONGEST = 400
_INSTALLED = ("site-packages", "dist-packages")


def place_of(error: BaseException) -> str | None:
    """`path:line` of the deepest line of a user's own code that `error` came through.

    Where it came through none, that of the error that it was raised from, and so on. None where
    all of it happened in libraries.

    Args:
        error: an exception that was raised. A SyntaxError in a user's file is that file's.

    Returns:
        The path as Python has it: as it was imported, absolute as a rule.
    """
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        if isinstance(now, SyntaxError) and now.filename and _is_own(now.filename):
            return f"{now.filename}:{now.lineno}"
        for frame, line in reversed(list(traceback.walk_tb(now.__traceback__))):
            if _is_own(frame.f_code.co_filename):
                return f"{frame.f_code.co_filename}:{line}"
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return None


def in_a_line(error: BaseException) -> str:
    """Its kind and what it says, without line breaks, and cut where it is long.

    >>> in_a_line(KeyError("x")), in_a_line(ValueError("a\\n  b")), in_a_line(StopIteration())
    ("KeyError: 'x'", 'ValueError: a b', 'StopIteration')
    """
    said = " ".join(str(error).split())
    said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy or XLA found no room; XLA has no exception of its own for that.

    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: 1 TB"))
    (True, True)
    """
    xla = isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return xla or isinstance(error, MemoryError)


@cache
def _is_own(filename: str) -> bool:
    if filename.startswith("<"):  # frozen importlib, a string that was compiled
        return False
    path = Path(filename).absolute()
    if any(part in _INSTALLED for part in path.parts):
        return False
    return not any(path.is_relative_to(root) for root in _libraries())


@cache
def _libraries() -> tuple[Path, ...]:
    """Where this package is, and Python's library, by every name that they have."""
    named = [sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib")]
    roots = [Path(__file__).parent, Path(traceback.__file__).parent, *map(Path, named)]
    return tuple(dict.fromkeys(p for root in roots for p in (root.absolute(), root.resolve())))
