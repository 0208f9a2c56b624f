"""The page of a run that goes on, for the browser of this machine and nobody else.

    with PageServer("runs/digits/seed0-1a2b3c4d", port=0) as server:
        print(server.url)                     # http://127.0.0.1:41873/
        server.serve_forever()

| path | |
|---|---|
| `/` | the page |
| `/data.json?known=REVISION` | what it consists of by now; 204 where that is what is known |
| `/media/images/...` | a picture that media.jsonl names |

All else is 404. It listens on 127.0.0.1 alone. A page of somebody else's that has its own name lead
here (DNS rebinding) comes with that name in `Host`, and is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jaxtrain.errors import ConfigError, JaxtrainError
from jaxtrain.report.page.content import Content
from jaxtrain.report.page.document import document
from jaxtrain.report.page.run_page import content_of
from jaxtrain.tracking import RunRecord

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"

SECONDS = 2.0
"""Between two looks of the page."""

# Whatever is answered, no page of another origin may read, frame or guess it.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_FOR_EVER = "max-age=31536000, immutable"  # a picture's name has the digest of what it shows


class PageServer(ThreadingHTTPServer):
    """Serves the page of a run; a context that closes its port.

    Args:
        run: the directory of the run.
        port: to listen on; 0 for a free one.
        seconds: between two looks of the page.

    Raises:
        ConfigError: there is no run, or the port is taken, or none.
    """

    daemon_threads = True

    def __init__(
        self, run: str | os.PathLike[str], *, port: int = 0, seconds: float = SECONDS
    ) -> None:
        self.run = Path(run)
        self.seconds = seconds
        self._state = _State(self.run)
        self._state.look()
        if not 0 <= port < 2**16:
            raise ConfigError(f"port: expected 0 to 65,535, found {port}")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = "another program has it"
            elif error.errno == errno.EACCES:
                why = "this user may not have it"
            else:
                raise
            raise ConfigError(
                f"port {port}: {why}; choose another, or none for a free one"
            ) from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """What `Host` may say."""
        names = (HOST, "localhost")
        bare = names if self.server_port == 80 else ()
        return frozenset([*(f"{name}:{self.server_port}" for name in names), *bare])

    def look(self) -> tuple[Content, str, frozenset[str]]:
        """The page's content by now, its revision, and the pictures that it shows."""
        return self._state.look()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is none; others are shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _State:
    """What was read last, and read anew only where a file is another."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._seen: Any = None
        self._found: tuple[Content, str, frozenset[str]] | None = None

    def look(self) -> tuple[Content, str, frozenset[str]]:
        with self._lock:
            record = RunRecord.read(self._run)
            # What the files are is asked before they are read: what comes meanwhile is seen again.
            seen = (record.status, _files(self._run))
            if self._found is None or seen != self._seen:
                content = content_of(record, linked=True)
                told = json.dumps(content.to_json()).encode()
                images = (row["file"] for row in record.media if row["kind"] == "image")
                revision = hashlib.sha256(told).hexdigest()[:16]
                self._found = (content, revision, frozenset(images))
                self._seen = seen
            return self._found


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = 60.0
    server_version = "jaxtrain"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page, its data or a picture."""
        if self.headers.get("Host") not in self.server.hosts:
            self._say(HTTPStatus.FORBIDDEN, f"this is {self.server.url}, and nothing else")
            return
        try:
            self._answer()
        except JaxtrainError as error:  # the run is gone, or broken: the page says so
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        content, revision, images = self.server.look()
        if path == "/":
            page = document(content, live=self.server.seconds, revision=revision)
            self._send(page.encode(), "text/html; charset=utf-8")
        elif path == "/data.json":
            if parse_qs(address.query).get("known") == [revision]:
                self._send(b"", None, status=HTTPStatus.NO_CONTENT)
            else:
                value = {**content.to_json(), "revision": revision}
                self._send(json.dumps(value).encode(), "application/json")
        elif path.removeprefix("/") in images:
            self._picture(self.server.run / path.removeprefix("/"))
        else:
            self._say(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def _picture(self, file: Path) -> None:
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # the run went on from before it
            self._say(HTTPStatus.NOT_FOUND, "it was taken back")
            return
        self._send(content, "image/png", cache=_FOR_EVER)

    def _say(self, status: HTTPStatus, said: str) -> None:
        self._send(f"{said}\n".encode(), "text/plain; charset=utf-8", status=status)

    def _send(
        self,
        body: bytes,
        kind: str | None,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        cache: str = "no-store",
    ) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", cache)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Into the log, where one wants to see it."""
        logger.debug("%s", format % args)


def _files(run: Path) -> list[tuple[str, int, int]]:
    """Name, time and size of what a record is read from."""
    names = (
        "metadata.json", "metrics.jsonl", "metrics.json", "media.jsonl", "system.jsonl",
        "artifacts/index.jsonl", "retention.json",
    )  # fmt: skip
    found = []
    for name in names:
        try:
            told = (run / name).stat()
        except FileNotFoundError:
            continue
        found.append((name, told.st_mtime_ns, told.st_size))
    return found
