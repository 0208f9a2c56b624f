"""The server: where it is, a client that does not wait for ever, and errors in one type.

uri = tracking_uri(None)              # MLFLOW_TRACKING_URI; ConfigError where it is unset
client = client_of(uri)
with answered(uri):                          # ServerError where it can't be reached, or refuses
    client.get_run(run_id)
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from jaxtrain.blame import in_a_line
from jaxtrain.errors import ConfigError, ServerError, UnreachableError

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE = "MLFLOW_TRACKING_URI"

# MLflow has them in the environment alone. Its own would ask a dead server seven times, for up to
# two minutes each; sends figures of its use to its makers; and prints links to standard output.
# Asked once, a run is not made twice: jaxtrain looks for it before it asks again.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"

# Codes of MLflow behind which another try may succeed; that of a dead server is INTERNAL_ERROR.
_PASSING = {
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
}


def tracking_uri(given: str | None = None) -> str:
    """Where to send to.

    Args:
        given: by default what MLFLOW_TRACKING_URI says.

    Raises:
        ConfigError: neither says it; it is a directory, which MLflow writes no more; or there is no
            mlflow here.
    """
    uri = os.environ.get(VARIABLE, "") if given is None else given
    if not uri.strip():
        raise ConfigError(
            f"MLflow: no tracking server is named: set {VARIABLE}, or give its address, such as "
            "http://127.0.0.1:5000 or sqlite:///mlflow.db"
        )
    uri = uri.strip()
    scheme = uri.partition(":")[0] if re.match(r"[A-Za-z][\w+.-]*:", uri) else ""
    if scheme == "file" or (not scheme and not uri.startswith("databricks")):
        raise ConfigError(
            f"MLflow: {shown(uri)}: is a directory, and MLflow has no store of files since 3.13; "
            "use sqlite:///mlflow.db, or a server: http://127.0.0.1:5000"
        )
    if find_spec("mlflow") is None:
        raise ConfigError("MLflow: is not installed here: pip install 'jaxtrain[mlflow]'")
    if not scheme.startswith(("http", "databricks")) and find_spec("sqlalchemy") is None:
        raise ConfigError(
            f"MLflow: {shown(uri)}: is a database, for which jaxtrain[mlflow] is not enough: "
            "pip install mlflow"
        )
    return uri


def shown(uri: str) -> str:
    """The address without the name and the password that may stand in it.

    >>> shown("https://anna:secret@host:5000/mlflow"), shown("sqlite:///mlflow.db")
    ('https://host:5000/mlflow', 'sqlite:///mlflow.db')
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri.rpartition("@")[2]
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def prepare(timeout: float) -> None:
    """Have mlflow wait no longer than `timeout` seconds for an answer, ask once, and keep quiet.

    What the environment says already stays as it is.
    """
    for name, value in {**_SETTINGS, _TIMEOUT: str(max(1, round(timeout)))}.items():
        os.environ.setdefault(name, value)


def client_of(uri: str, timeout: float = 60.0) -> MlflowClient:
    """A client; nothing is asked yet of a server, but a database is opened."""
    prepare(timeout)
    from mlflow import MlflowClient

    with answered(uri):
        return MlflowClient(tracking_uri=uri)


@contextlib.contextmanager
def answered(uri: str) -> Iterator[None]:
    """Where what is asked in it fails, by MLflow or on the way, say so.

    Raises:
        ServerError: it refuses.
        UnreachableError: another try may succeed.
    """
    from mlflow.exceptions import MlflowException, RestException
    from requests import HTTPError, RequestException

    try:
        yield
    except MlflowException as error:
        kind = UnreachableError if error.error_code in _PASSING else ServerError
        # What the server itself says, or the reason why nothing came: a chain of libraries' errors
        # leads down to it.
        said = error if isinstance(error, RestException) else _innermost(error)
        raise kind(_said(uri, said)) from error
    except HTTPError as error:  # of a file
        status = 500 if error.response is None else error.response.status_code
        kind = UnreachableError if status >= 500 or status == 429 else ServerError
        raise kind(_said(uri, error)) from error
    except RequestException as error:
        raise UnreachableError(_said(uri, _innermost(error))) from error


def _innermost(error: BaseException) -> BaseException:
    inner = error.__cause__ or error.__context__
    return error if inner is None else _innermost(inner)


def _said(uri: str, error: BaseException) -> str:
    text = in_a_line(error).replace(uri, shown(uri))
    return f"MLflow at {shown(uri)}: {text if len(text) <= 300 else text[:300] + '…'}"
