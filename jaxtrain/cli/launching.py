"""Several processes of one machine as one run, watched: what `launch` of the command line does.

    code = Launched(["-m", "jaxtrain.main", "configs/digits.py"], processes=4).run()

JAX's own end of a run of which one process has died is late, and a crash (code 134). Here the
others are given a moment to end by themselves, then a signal, then none: all are gone within
`LONGEST` seconds, and the code says what to do.

No JAX here: the one who watches must not be what dies of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, Any

from jaxtrain.errors import CheckpointError, ConfigError, DataError, Preempted

# That of `places`, which would bring JAX with it.
ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"

GRACE_SECONDS, TERM_SECONDS = 3.0, 5.0
LONGEST = GRACE_SECONDS + TERM_SECONDS + 1.0
"""Seconds from the end of one to the end of all, where that was no ordinary one."""

_AGAIN = Preempted.exit_code
_WOULD_COME_AGAIN = (ConfigError.exit_code, DataError.exit_code, CheckpointError.exit_code)
_LOOK_SECONDS = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


@dataclass
class Launched:
    """The processes of a run, started, watched, and started again where that may help.

    Args:
        words: of a Python that is to run as each of them.
        processes: how many.
        devices_each: how many devices each has: GPUs of the machine, or simulated ones of its CPU.
        restarts: how often to start all again when one has died.
        at_least: with how many to go on, each time with as many fewer as have died; None goes on
            with all.
    """

    words: Sequence[str]
    processes: int
    devices_each: int = 1
    restarts: int = 0
    at_least: int | None = None
    _signals: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Start them, and see them through.

        Returns:
            0 where all ended well; the code of the first that failed on purpose; 75 where one died,
            or all were stopped: the same command goes on.
        """
        count, left = self.processes, self.restarts
        with self._heeding():
            while True:
                code, died, stopped = self._once(count)
                if code == 0 or code in _WOULD_COME_AGAIN or stopped or not left:
                    return code
                left -= 1
                if self.at_least is not None:
                    count = max(self.at_least, count - max(died, 1))
                _say(f"starting again with {count} processes; {left} more times after this")

    def _once(self, count: int) -> tuple[int, int, bool]:
        """Start so many.

        Returns:
            With which code they end, how many of them died, and whether all were stopped: by a
            signal, or a time limit of their own.
        """
        address = f"127.0.0.1:{_free_port()}"
        children: list[_Child] = []
        try:
            for number in range(count):
                environ = self._environ(number, count, address)
                children.append(_Child(number, self.words, environ))
            for child in children:  # behind the last fork: a thread and a fork don't go together
                child.listen()
            died, asked = self._wait_for_an_end(children)
            codes = [child.code() for child in children]
            if len(self._signals) > 1:
                return 128 + self._signals[-1], died, True
            stopped = bool(self._signals) or (not asked and set(codes) == {_AGAIN})
            return _verdict(codes), died, stopped
        finally:
            for child in children:
                child.kill()
            for child in children:
                child.close()

    def _environ(self, number: int, count: int, address: str) -> dict[str, str]:
        each = self.devices_each
        environ = {**os.environ, ADDRESS: address, COUNT: str(count), INDEX: str(number)}
        own = range(number * each, (number + 1) * each)
        environ.setdefault("JAX_LOCAL_DEVICE_IDS", ",".join(map(str, own)))  # heeded by GPUs alone
        if each > 1:  # heeded by CPUs alone
            flags = f"{environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={each}"
            environ["XLA_FLAGS"] = flags.strip()
        return environ

    def _wait_for_an_end(self, children: Sequence[_Child]) -> tuple[int, bool]:
        """Until all have ended; once one has not ended well, the others have little time.

        Returns:
            How many have died, and not of the death of others; and whether others had to be asked
            to end.
        """
        failed_at, died, asked, handed_on = 0.0, 0, False, False
        while True:
            running = any(child.code() is None for child in children)
            bad = [child for child in children if child.code() not in (None, 0)]
            if bad and not failed_at:
                failed_at, died = time.monotonic(), sum(map(_Child.has_died, bad))
                for child in bad:
                    if child.code() != _AGAIN:
                        _say(str(child))
            if not running or len(self._signals) > 1:
                return died, asked
            if self._signals and not handed_on:
                handed_on = True
                _tell(children, signal.SIGTERM)
            since = time.monotonic() - failed_at if failed_at else 0.0
            if since >= GRACE_SECONDS + TERM_SECONDS:
                return died, asked
            if since >= GRACE_SECONDS and not asked:
                asked = True
                _tell(children, signal.SIGTERM)
            time.sleep(_LOOK_SECONDS)

    @contextlib.contextmanager
    def _heeding(self) -> Iterator[None]:
        """Note signals: the first is handed on, to all; the second ends them at once."""
        before = {
            number: signal.signal(number, self._heed)
            for number in _SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        # Of a closed terminal both the kernel and a shell may tell: nobody insists.
        if number != signal.SIGHUP or not self._signals:
            self._signals.append(number)


def _tell(children: Sequence[_Child], number: int) -> None:
    for child in children:
        child.send(number)


class _Child:
    """A process of the run.

    The first one's streams are ours. What another one says comes line by line on our standard
    error, with its number before it.
    """

    def __init__(self, number: int, words: Sequence[str], environ: Mapping[str, str]) -> None:
        self.number = number
        own: dict[str, Any] = {}
        if number:
            own = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        # In a group of its own: a Ctrl-C of the terminal comes here, and is handed on once.
        self._process = subprocess.Popen(
            [sys.executable, *words],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_die_with(os.getpid()),
            errors="backslashreplace" if number else None,
            **own,
        )
        self._reader: threading.Thread | None = None

    def listen(self) -> None:
        """Begin to hand on what it says."""
        stream = self._process.stdout
        if stream is not None:
            self._reader = threading.Thread(
                target=_hand_on, args=(self.number, stream), daemon=True
            )
            self._reader.start()

    def code(self) -> int | None:
        """With which code it ended; None while it runs."""
        return self._process.poll()

    def has_died(self) -> bool:
        """Whether a signal ended it; JAX's own, by which it ends those that are left, is none."""
        code = self.code()
        return code is not None and code < 0 and code != -signal.SIGABRT

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it, with all that it has started."""
        with contextlib.suppress(ProcessLookupError):  # the group is gone with its last process
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """See that it is gone, and that all that it said is handed on."""
        self._process.wait()
        if self._reader is not None:
            self._reader.join()  # at the end of what was written: the whole group is gone
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __str__(self) -> str:
        return f"process {self.number} {_ending(self._process.returncode)}"


def _verdict(codes: Sequence[int | None]) -> int:
    """What the codes of all come to; None is that of one that had to be ended.

    >>> _verdict([0, 0]), _verdict([-9, 1]), _verdict([1, 2]), _verdict([75, None]), _verdict([1])
    (0, 75, 2, 75, 1)
    """
    for code in codes:
        if code in _WOULD_COME_AGAIN:
            return code
    if set(codes) == {0}:
        return 0
    return 1 if set(codes) <= {0, 1} else _AGAIN


def _ending(code: int | None) -> str:
    if code is None:
        return "still runs"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _hand_on(number: int, stream: IO[str]) -> None:
    for line in stream:
        print(f"[{number}] {line.rstrip()}", file=sys.stderr, flush=True)


def _die_with(parent: int) -> Any:
    """What a child does first: see to it that it is killed when we are gone, however that comes."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(_AGAIN)

    return die_with_parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _say(text: str) -> None:
    print(f"launch: {text}", file=sys.stderr, flush=True)
