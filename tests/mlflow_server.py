"""A real `mlflow server` on sqlite and loopback, and a way to it that can be cut.

with serving(directory) as uri: ...
with Way(uri) as way:                        # way.uri leads to the server
    way.cut()                                # nobody answers there any more
    way.mend()
    way.cut_after(3)                         # the third answer is lost: the server has it all
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

# No jobs beside it, nothing to its makers, and asked once.
_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Start one with its database and artifacts in `directory`; about ten seconds."""
    port = free_port()
    words = ["--backend-store-uri", f"sqlite:///{directory / 'mlflow.db'}", "--workers", "1"]
    words += ["--artifacts-destination", str(directory / "artifacts")]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    log = directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words],
            env={**os.environ, **_ENVIRONMENT},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 120
        while not _is_healthy(uri):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield uri
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_healthy(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Way:
    """A way to a server, request by request: each connection is for one."""

    def __init__(self, uri: str) -> None:
        self._target = urlsplit(uri).port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.requests: list[str] = []
        self._is_open = True
        self._answers_left: int | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Way:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *raised: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        self._is_open = False

    def mend(self) -> None:
        self._is_open, self._answers_left = True, None

    def cut_after(self, answers: int) -> None:
        """So many more answers come through; the request behind them is served, not answered."""
        self._answers_left = answers

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if not self._is_open:
                here.close()
                continue
            thread = threading.Thread(target=self._serve, args=(here,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, here: socket.socket) -> None:
        """One request, and its answer; the server is told to close behind it."""
        with here, socket.create_connection(("127.0.0.1", self._target)) as there:
            head = b""
            while b"\r\n\r\n" not in head:
                more = here.recv(65536)
                if not more:
                    return
                head += more
            line, rest = head.split(b"\r\n", 1)
            self.requests.append(line.decode())
            lines, body = rest.split(b"\r\n\r\n", 1)
            kept = [x for x in lines.split(b"\r\n") if not x.lower().startswith(b"connection:")]
            there.sendall(b"\r\n".join([line, *kept, b"Connection: close", b"", b""]) + body)
            length = next(
                (int(x[15:]) for x in kept if x.lower().startswith(b"content-length:")), 0
            )
            left = length - len(body)
            while left > 0:
                more = here.recv(65536)
                there.sendall(more)
                left -= len(more)
            answer = b""
            while more := there.recv(65536):
                answer += more
            if self._answers_left is not None:
                self._answers_left -= 1
                if self._answers_left < 0:
                    self._is_open = False
                    return
            here.sendall(answer)
