"""Standard streams that can't end a training: closed, or broken while it runs.

    open_missing()                     # first of all: `... >&-`
    with unbreakable():                # print, logging, progress bars: whatever is written
        experiment.train()

A pipe whose reader has gone (`| head -1`), a terminal that was closed, a full disk under a log:
what is written there from then on goes nowhere, and the run goes on.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

# Nobody is there to read it any more, and nobody needs to be told.
_GONE = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET}


def open_missing() -> None:
    """Put /dev/null in the place of standard streams that are closed.

    A file that is opened later would take the number of one, and what is printed would end up in
    it: in a checkpoint, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 (as long as the process lives)
    if sys.stdout is None:
        sys.stdout = _text(1, encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = _text(2, encoding="utf-8")


@contextlib.contextmanager
def unbreakable() -> Iterator[Callable[[], OSError | None]]:
    """Let no failed write to standard output or error be an exception, inside this block.

    Streams that are not the process's own (a notebook's, a test's) are left as they are.

    Yields:
        A function that says what was wrong with the disk under standard output, once all that was
        printed is written; None where nothing was, or where only nobody was there to read it.
    """
    before: tuple[Any, Any] = sys.stdout, sys.stderr
    if before[0] is sys.__stdout__ and _has_number(before[0], 1):
        sys.stdout = _text(1, like=before[0])
    output = sys.stdout
    if before[1] is sys.__stderr__ and _has_number(before[1], 2):
        sys.stderr = _text(2, like=before[1])

    def lost() -> OSError | None:
        output.flush()
        raw = getattr(getattr(output, "buffer", None), "raw", None)
        return raw.lost if isinstance(raw, Unbreakable) else None

    try:
        yield lost
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # somebody else's, or closed
                stream.flush()
        sys.stdout, sys.stderr = before


class Unbreakable(io.RawIOBase):
    """Writes to a file descriptor until that fails; then, and from then on, to /dev/null.

    The descriptor itself is led there, so that what libraries in C write goes nowhere, too.

    Args:
        number: the descriptor, which is not closed with this object.

    Attributes:
        lost: why what was written did not arrive, where somebody may have waited for it.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self.lost: OSError | None = None

    def fileno(self) -> int:
        """The descriptor."""
        return self._number

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal, and still there."""
        return os.isatty(self._number)

    def write(self, data: Any) -> int:
        """Write as much of `data` as it takes; all of it, where nobody is there any more."""
        while True:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # another process has made the pipe one that does not wait
                select.select([], [self._number], [])
            except OSError as error:
                self._give_up(error)
                return len(data)

    def _give_up(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._number)
        os.close(nowhere)
        if error.errno not in _GONE:
            self.lost = error
            name = {1: "standard output", 2: "standard error"}[self._number]
            said = f"{name} can't be written to ({error.strerror}); what follows there is lost\n"
            with contextlib.suppress(OSError):
                os.write(3 - self._number, said.encode())


def _text(number: int, *, like: Any = None, encoding: str | None = None) -> TextIO:
    if like is not None:
        with contextlib.suppress(OSError):
            like.flush()
    # A character that the terminal's encoding lacks is no reason to end a training either.
    return io.TextIOWrapper(
        io.BufferedWriter(Unbreakable(number)),
        encoding=like.encoding if like else encoding,
        errors="backslashreplace",
        line_buffering=number == 2 or os.isatty(number),
        write_through=bool(getattr(like, "write_through", False)),
    )


def _has_number(stream: Any, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False
