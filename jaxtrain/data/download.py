"""Download one file over HTTP, whole and checked, or leave nothing behind.

    download_file("https://example.org/train.gz", Path("data/train.gz"), sha256="440fcabf...")

The bytes go to a temporary file beside the target, are compared with the checksum, synced to disk
and only then given their name: whatever has the name is complete.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.files.atomic import replacing
from jaxtrain.files.retry import Retry

_TIMEOUT = 30.0  # seconds, for the connection and for each read
_CHUNK = 2**18
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class _TransientError(Exception):
    """The network or the server failed; another attempt may succeed."""


class _CorruptError(_TransientError):
    """The server answered, with other bytes than it should have."""


def download_file(
    url: str, path: Path, *, sha256: str, max_bytes: int = 2**30, retry: Retry | None = None
) -> None:
    """Download `url` to `path`, replacing what is there.

    Args:
        url: an `http` or `https` address; redirections to other schemes are refused.
        path: the file to write; its directory is made where it is missing.
        sha256: the checksum the file must have, in hex.
        max_bytes: how large the file may be; more is an error, whatever the server announces.
        retry: how often and with which pauses to try again after a failure of the network, a
            server error (5xx, 408, 425, 429) or a wrong checksum; three attempts by default.

    Raises:
        ConfigError: `url` is not an HTTP address.
        DataNotFoundError: the server can't be reached or says no.
        DataError: what arrived is truncated, too large or has another checksum.
        OSError: the file can't be written.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(
            f"expected an http:// or https:// address to download from, found {url!r}"
        )
    retry = Retry() if retry is None else retry
    try:
        retry.call(lambda: _attempt(url, path, sha256, max_bytes), on=(_TransientError,))
    except _TransientError as error:
        kind = DataError if isinstance(error, _CorruptError) else DataNotFoundError
        raise kind(
            f"could not download {url} to {path} in {retry.attempts} attempts: {error}"
        ) from error


def _attempt(url: str, path: Path, sha256: str, max_bytes: int) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        _stream(url, file, sha256, max_bytes)


def _stream(url: str, file: BinaryIO, sha256: str, max_bytes: int) -> None:
    """Copy the answer to `file`; raises unless it is complete and has the checksum."""
    digest, found = hashlib.sha256(), 0
    with _open(url) as response:
        announced = response.headers.get("Content-Length")
        expected = int(announced) if announced and announced.isdigit() else None
        if expected is not None and expected > max_bytes:
            raise _too_large(url, max_bytes, expected)  # not one byte of it is waited for
        while True:
            try:
                chunk = response.read(_CHUNK)
            except http.client.IncompleteRead:
                break  # fewer bytes than announced: told below, with both numbers
            except (OSError, http.client.HTTPException) as error:
                raise _TransientError(f"the connection broke after {found:,} bytes") from error
            if not chunk:
                break
            found += len(chunk)
            if found > max_bytes:
                raise _too_large(url, max_bytes, found)
            digest.update(chunk)
            file.write(chunk)
    if expected is not None and found != expected:
        raise _CorruptError(f"truncated: expected {expected:,} bytes, found {found:,}")
    if digest.hexdigest() != sha256.lower():
        raise _CorruptError(
            f"wrong checksum: expected sha256 {sha256}, found {digest.hexdigest()} "
            f"({found:,} bytes)"
        )


def _too_large(url: str, max_bytes: int, size: int) -> DataError:
    return DataError(
        f"{url}: larger than the {max_bytes:,} bytes allowed ({size:,} or more); nothing was kept"
    )


def _open(url: str) -> http.client.HTTPResponse:
    # Not urllib's default opener: that one also follows redirections to ftp and opens local files.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    try:
        response = opener.open(url, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _TRANSIENT_STATUS:
            raise _TransientError(f"the server answered {error.code} {error.reason}") from error
        raise DataNotFoundError(
            f"could not download {url}: the server answered {error.code} {error.reason}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(f"no connection: {getattr(error, 'reason', error)}") from error
    if response is None:  # what a director without a handler for a redirection's scheme returns
        raise DataNotFoundError(f"could not download {url}: redirected to an unknown scheme")
    return response
