"""What a run writes goes to a server while it goes on, from a thread, and never in its way.

    with uploading(directory, "http://127.0.0.1:5000"):
        ...                                  # train, write metadata.json's last status
    # at most ten seconds later

A server that is down, goes down or never answers costs one warning; the training goes on, and the
directory is whole. `jaxtrain runs sync RUN` brings the rest later.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from jaxtrain.blame import in_a_line
from jaxtrain.errors import JaxtrainError, UnreachableError
from jaxtrain.files.retry import Retry
from jaxtrain.tracking.mlflow.sending import Sending
from jaxtrain.tracking.mlflow.server import prepare, tracking_uri

logger = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two looks at what is new."""

LAST = 10.0
"""Seconds that the end of a run waits for the rest to arrive."""

# A server that is down is asked more and more seldom, up to this.
_SELDOM = 60.0
_TRIES = Retry(attempts=3, base=1.0)


class Uploader:
    """Sends what is new in a run's directory every few seconds.

    Args:
        directory: of the run; it need not hold one yet.
        uri: of the server; by default what MLFLOW_TRACKING_URI says.
        every: seconds between two looks.
        last: seconds that `finish` waits at most.

    Raises:
        ConfigError: no server is named, or it is a directory; there is no mlflow.
    """

    def __init__(
        self,
        directory: Path,
        uri: str | None = None,
        *,
        every: float = EVERY,
        last: float = LAST,
    ) -> None:
        self.directory = directory
        self._every, self._last = every, last
        self._sending = Sending(directory, tracking_uri(uri), timeout=last)
        self._thread = threading.Thread(target=self._work, name="jaxtrain-uploader", daemon=True)
        self._finishing = threading.Event()
        self._failed = False
        self._warned = threading.Lock()  # taken once, and never let go

    def start(self) -> None:
        """Begin; once."""
        prepare(self._last)  # the environment is not to be changed while others read it
        self._thread.start()

    def finish(self) -> None:
        """Send what is left, for a few seconds at most. Again it does nothing."""
        if self._finishing.is_set():
            return
        self._finishing.set()
        self._thread.join(self._last)
        if self._thread.is_alive():
            self._warn(f"no answer within {self._last:g} s")

    def _work(self) -> None:
        pause = 0.0
        while not self._finishing.wait(pause):
            self._send()
            pause = min(max(pause, self._every) * 2, _SELDOM) if self._failed else self._every
        self._send()

    def _send(self) -> None:
        """Send what is new. Whatever is raised here has no other way out than a warning."""
        tries = Retry(
            attempts=1 if self._failed else _TRIES.attempts, base=_TRIES.base, sleep=self._pause
        )
        try:
            tries.call(self._try, on=(UnreachableError,))
        except Exception as error:
            self._failed = True
            self._warn(str(error) if isinstance(error, JaxtrainError) else in_a_line(error))
        else:
            if self._failed:
                logger.info("%s: its server answers again", self.directory)
            self._failed = False

    def _try(self) -> None:
        if (self.directory / "metadata.json").is_file():  # else it has not begun
            self._sending.send()

    def _pause(self, seconds: float) -> None:
        """Wait; but not long for a run that is just at its end."""
        if not self._finishing.wait(seconds):
            return
        time.sleep(min(seconds, self._last / 10))

    def _warn(self, said: str) -> None:
        if self._warned.acquire(blocking=False):
            logger.warning(
                "%s: is not sent (%s). The run goes on, and all of it is on the disk; "
                "`jaxtrain runs sync %s` sends it later",
                self.directory,
                said,
                self.directory,
            )


@contextlib.contextmanager
def uploading(
    directory: Path, uri: str | None = None, *, every: float = EVERY, last: float = LAST
) -> Iterator[Uploader]:
    """Send what is new in a run's directory for as long as the context lasts; see `Uploader`.

    The last status must be in metadata.json when it is left. Leaving takes up to `last` seconds
    more, whether by an exception or not.
    """
    uploader = Uploader(directory, uri, every=every, last=last)
    uploader.start()
    try:
        yield uploader
    finally:
        uploader.finish()
