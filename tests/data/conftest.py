"""A local web server for the tests of this room."""

from __future__ import annotations

import contextlib
import http.server
import threading

import pytest


class Script(http.server.BaseHTTPRequestHandler):
    """Answers the n-th request with the n-th of `server.answers`; the last one repeats."""

    def do_GET(self):
        server = self.server
        answer = server.answers[min(len(server.paths), len(server.answers) - 1)]
        server.paths.append(self.path)
        status, body, headers = answer(self.path) if callable(answer) else answer
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def serving(monkeypatch):
    """`with serving(answer, ...) as server`: `server.url`, and in `server.paths` what was asked.

    An answer is `(status, body, headers)`, or a function of the path that gives one.
    """
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    @contextlib.contextmanager
    def serve(*answers):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Script) as server:
            server.answers, server.paths = answers, []
            server.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    return serve
