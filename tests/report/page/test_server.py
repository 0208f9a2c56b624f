"""Tests of jaxtrain.report.page.server."""

import contextlib
import http.client
import json
import shutil
import socket
import threading

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.report import PageServer
from tests.report.page.small import HOSTILE, logged


@pytest.fixture
def record(tmp_path):
    return logged(tmp_path / "runs", steps=[1, 2])


@contextlib.contextmanager
def serving(record):
    with PageServer(record.path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(record):
    with serving(record) as server:
        yield server


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """A server whose run no test changes."""
    with serving(logged(tmp_path_factory.mktemp("runs"), steps=[1])) as server:
        yield server


def ask(server, path="/", *, host=None, method="GET"):
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{server.server_port}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_page_its_data_and_its_pictures(server, record):
    status, headers, body = ask(server)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'data-live="2.0"' in body
    assert HOSTILE.encode() not in body
    status, headers, body = ask(server, "/data.json")
    data = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert data["title"] == "demo/first"
    file = next(row["file"] for row in record.media if row["kind"] == "image")
    assert f'src=\\"{file}' in body.decode()
    status, headers, body = ask(server, f"/{file}")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert body == (record.path / file).read_bytes()
    assert "immutable" in headers["Cache-Control"]
    for header, value in (("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
                          ("Cross-Origin-Resource-Policy", "same-origin")):  # fmt: skip
        assert headers[header] == value
    assert not any("Access-Control" in header for header in headers)


def test_it_listens_on_this_machine_alone(untouched):
    assert untouched.server_address[0] == "127.0.0.1"
    assert untouched.url == f"http://127.0.0.1:{untouched.server_port}/"


@pytest.mark.parametrize(
    "path",
    [
        "/metadata.json", "/media.jsonl", "/media/../metadata.json",
        "/media/images/../../metadata.json",
        "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd", "/media/",
        "/artifacts/index.jsonl", "/report.html", "/media/images/digit/%00", "/data.json/x",
    ],
)  # fmt: skip
def test_nothing_else_is_served(untouched, path):
    status, _, body = ask(untouched, path)
    assert (status, body) == (404, b"there is nothing of that name\n")


def test_tables_and_texts_are_no_files_of_the_page(server, record):
    for row in record.media:
        if row["kind"] != "image":
            assert ask(server, f"/{row['file']}")[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "", "127.0.0.1", "127.0.0.1:1"]
)
def test_another_host_is_refused(untouched, host):
    host = host.format(port=untouched.server_port)
    for path in ("/", "/data.json"):
        status, _, body = ask(untouched, path, host=host)
        assert status == 403
        assert b"demo" not in body


def test_localhost_is_this_machine_too(untouched):
    assert ask(untouched, "/data.json", host=f"localhost:{untouched.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent(untouched, method):
    assert ask(untouched, "/data.json", method=method)[0] == 501


def test_what_is_known_is_not_sent_again(server, record):
    revision = json.loads(ask(server, "/data.json")[2])["revision"]
    assert ask(server, f"/data.json?known={revision}")[::2] == (204, b"")
    with (record.path / "metrics.jsonl").open("a") as file:
        file.write('{"event": "log", "epoch": 0, "iteration": 3, "step": 3, "loss": 0.125}\n')
    status, _, body = ask(server, f"/data.json?known={revision}")
    data = json.loads(body)
    assert (status, data["revision"] == revision) == (200, False)
    assert data["figures"]["curve:step:loss"]["curves"][0]["y"][-1] == 0.125


def test_a_run_that_is_gone_is_said(server, record):
    shutil.rmtree(record.path)
    status, _, body = ask(server, "/data.json")
    assert status == 503
    assert b"holds no run" in body


def test_a_picture_that_was_taken_back_meanwhile(server, record):
    file = next(row["file"] for row in record.media if row["kind"] == "image")
    server.look()
    (record.path / file).unlink()
    assert ask(server, f"/{file}")[::2] == (404, b"it was taken back\n")


def test_a_port_that_is_taken(record):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: another program has it"):
            PageServer(record.path, port=port)
    with pytest.raises(ConfigError, match="expected 0 to 65,535, found 65536"):
        PageServer(record.path, port=65536)


def test_no_run_is_an_error_at_once(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        PageServer(tmp_path)


def test_a_browser_that_leaves_is_no_error(untouched, capfd):
    try:
        raise BrokenPipeError
    except BrokenPipeError:
        untouched.handle_error(None, None)
    assert capfd.readouterr() == ("", "")
    try:
        raise KeyError("x")
    except KeyError:
        untouched.handle_error(None, ("127.0.0.1", 1))
    assert "KeyError" in capfd.readouterr().err
