"""A server that takes what comes, and never answers."""

from __future__ import annotations

import socket
import threading


class Deaf:
    """A server that takes what comes, and never answers."""

    def __enter__(self):
        self.taken = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def _take(self):
        while True:
            try:
                self.taken.append(self._listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *raised):
        for one in self.taken:
            one.close()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
