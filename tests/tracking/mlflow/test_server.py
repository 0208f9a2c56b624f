"""Where the server is, and what is said of one that can't be had."""

from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError, ServerError, UnreachableError
from jaxtrain.tracking.mlflow import server
from jaxtrain.tracking.mlflow.server import answered, client_of, shown, tracking_uri
from tests.mlflow_server import free_port

pytest.importorskip("mlflow")


def test_the_argument_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
    assert tracking_uri() == "http://environment:5000"
    assert tracking_uri(" sqlite:///a.db ") == "sqlite:///a.db"
    assert tracking_uri("databricks") == "databricks"


@pytest.mark.parametrize("set_to", [None, "", " "])
def test_without_one_it_is_said_what_to_set(monkeypatch, set_to):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if set_to is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", set_to)
    with pytest.raises(ConfigError, match=r"set MLFLOW_TRACKING_URI.*sqlite:///mlflow\.db"):
        tracking_uri()


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "file:mlruns", "mlruns", "/tmp/x", "./a:b"])
def test_a_directory_is_refused_and_it_is_said_what_to_use(uri):
    with pytest.raises(ConfigError, match="no store of files since") as said:
        tracking_uri(uri)
    assert "sqlite:///mlflow.db, or a server" in str(said.value)


@pytest.mark.parametrize(
    ("missing", "uri", "said"),
    [
        ("mlflow", "http://a:1", r"pip install 'jaxtrain\[mlflow\]'"),
        ("sqlalchemy", "sqlite:///a.db", "pip install mlflow"),
    ],
)
def test_what_is_not_installed_is_said(monkeypatch, missing, uri, said):
    there = server.find_spec
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == missing else there(name))
    with pytest.raises(ConfigError, match=said):
        tracking_uri(uri)
    assert missing == "mlflow" or tracking_uri("http://a:1") == "http://a:1"


def test_a_password_is_never_shown():
    uri = f"http://anna:secret@127.0.0.1:{free_port()}/x"
    assert "secret" not in shown(uri)
    assert "secret" not in shown("http://anna:secret@[::1/x")
    with pytest.raises(UnreachableError, match="ConnectionRefusedError") as said, answered(uri):
        client_of(uri, 1.0).get_experiment_by_name("x")
    assert "secret" not in str(said.value)
    assert "127.0.0.1" in str(said.value)
    from mlflow.exceptions import MlflowException

    with (
        pytest.raises(ServerError, match=r"at http://host/x.*no http://host/x") as said,
        answered("http://anna:secret@host/x"),
    ):
        raise MlflowException("no http://anna:secret@host/x")
    assert "secret" not in str(said.value)
    with pytest.raises(ConfigError) as refused:
        tracking_uri("file://anna:secret@host/x")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PERMISSION_DENIED", ServerError),
        ("INVALID_PARAMETER_VALUE", ServerError),
        ("TEMPORARILY_UNAVAILABLE", UnreachableError),
        ("REQUEST_LIMIT_EXCEEDED", UnreachableError),
    ],
)
def test_a_server_that_refuses_is_not_one_that_is_down(code, kind):
    from mlflow.exceptions import RestException

    with pytest.raises(ServerError) as said, answered("http://a:1"):
        raise RestException({"error_code": code, "message": "so it is"})
    assert type(said.value) is kind
    assert "so it is" in str(said.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, ServerError), (429, UnreachableError), (503, UnreachableError)]
)
def test_nor_is_one_that_refuses_a_file(status, kind):
    from requests import HTTPError, Response

    response = Response()
    response.status_code = status
    with pytest.raises(ServerError) as said, answered("http://a:1"):
        raise HTTPError("no", response=response)
    assert type(said.value) is kind


def test_what_the_disk_does_is_not_the_servers():
    with pytest.raises(PermissionError), answered("http://a:1"):
        raise PermissionError("mine")
