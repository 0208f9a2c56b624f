import hashlib
import socket
import threading

import pytest

from jaxtrain.data import download_file
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.files.retry import Retry

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()
GOOD = (200, BODY, {})
BUSY = (503, b"later", {})
CORRUPT = (200, b"?" + BODY[1:], {})
CUT_SHORT = (200, BODY[:-100], {"Content-Length": str(len(BODY))})


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def download(tmp_path, pauses):
    """Downloads into `tmp_path/new/file`, noting the pauses instead of making them."""

    def run(url, **options):
        path = tmp_path / "new" / "file"
        options = {"sha256": SHA256, "retry": Retry(sleep=pauses.append)} | options
        try:
            download_file(url, path, **options)
        finally:
            # Whatever happens, no temporary file stays behind.
            left = (
                {entry.name for entry in path.parent.iterdir()} if path.parent.exists() else set()
            )
            assert left <= {"file"}
        return path

    return run


def test_whole_file_at_the_first_attempt(serving, download, pauses):
    with serving(GOOD) as server:
        path = download(f"{server.url}/a/file.gz", sha256=SHA256.upper())
    assert path.read_bytes() == BODY
    assert server.paths == ["/a/file.gz"]
    assert pauses == []


def test_an_answer_without_length_is_read_to_its_end(serving, download):
    def unannounced(_):
        return 200, BODY, {"Content-Length": "", "Connection": "close"}

    with serving(unannounced) as server:
        assert download(server.url).read_bytes() == BODY


@pytest.mark.parametrize("first", [BUSY, CORRUPT, CUT_SHORT], ids=["busy", "corrupt", "cut"])
def test_a_failure_that_passes(serving, download, pauses, first):
    with serving(first, first, GOOD) as server:
        assert download(server.url).read_bytes() == BODY
    assert len(server.paths) == 3
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (BUSY, DataNotFoundError, "3 attempts: the server answered 503"),
        (CORRUPT, DataError, f"3 attempts: wrong checksum: expected sha256 {SHA256}, found "),
        (CUT_SHORT, DataError, "3 attempts: truncated: expected 1,048,576 bytes, found 1,048,476"),
    ],
    ids=["busy", "corrupt", "cut"],
)
def test_a_failure_that_stays(serving, download, tmp_path, answer, kind, message):
    with serving(answer) as server, pytest.raises(kind, match=message) as caught:
        download(server.url)
    assert len(server.paths) == 3
    assert server.url in str(caught.value)
    assert not (tmp_path / "new" / "file").exists()


def test_a_refusal_is_not_tried_again(serving, download, pauses):
    with (
        serving((404, b"", {})) as server,
        pytest.raises(DataNotFoundError, match="answered 404"),
    ):
        download(server.url)
    assert len(server.paths) == 1
    assert pauses == []


def test_nobody_listens(download, pauses):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(DataNotFoundError, match="3 attempts: no connection"):
            download(url)
    assert pauses == [1.0, 2.0]


def test_a_server_that_falls_silent_times_out(download, monkeypatch):
    monkeypatch.setattr("jaxtrain.data.download._TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DataNotFoundError, match="timed out"):
            download(url)


def test_a_connection_that_breaks_in_the_middle(download):
    import struct

    def answer_and_reset(server):
        for _ in range(3):
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc")
            # Lingering 0 s makes closing a reset instead of an ordinary end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_and_reset, args=(server,))
        thread.start()
        with pytest.raises((DataNotFoundError, DataError)):
            download(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


def test_what_was_there_stays_until_the_new_file_is_whole(serving, download, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_bytes(b"old")
    with serving(CORRUPT) as server, pytest.raises(DataError):
        download(server.url)
    assert (tmp_path / "new" / "file").read_bytes() == b"old"
    with serving(GOOD) as server:
        assert download(server.url).read_bytes() == BODY


@pytest.mark.parametrize("announced", [True, False])
def test_larger_than_allowed(serving, download, announced, pauses):
    answer = GOOD if announced else (200, BODY, {"Content-Length": "", "Connection": "close"})
    with serving(answer) as server, pytest.raises(DataError, match="larger than the 1,000 bytes"):
        download(server.url, max_bytes=1000)
    assert pauses == []


def test_what_is_announced_too_large_is_not_waited_for(serving, download, pauses):
    answer = 200, b"the beginning", {"Content-Length": str(2**40)}
    with (
        serving(answer) as server,
        pytest.raises(DataError, match=r"larger than .* \(1,099,511,627,776 or more\)"),
    ):
        download(server.url)
    assert len(server.paths) == 1, "asking again makes it no smaller"
    assert pauses == []


@pytest.mark.parametrize("excess", [0, 1])
def test_as_large_as_allowed_is_not_too_large(serving, download, excess):
    with serving(GOOD) as server:
        if excess:
            with pytest.raises(DataError, match="larger than the 1,048,575 bytes"):
                download(server.url, max_bytes=len(BODY) - 1)
        else:
            assert download(server.url, max_bytes=len(BODY)).read_bytes() == BODY


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a", "/etc/passwd", "data:,x"])
def test_only_http(download, url):
    with pytest.raises(ConfigError, match="http:// or https://"):
        download(url)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_a_redirection_to_another_scheme(serving, download, target):
    with (
        serving((302, b"", {"Location": target})) as server,
        pytest.raises(DataNotFoundError, match="could not download"),
    ):
        download(server.url)
    assert len(server.paths) == 1


def test_a_redirection_within_http(serving, download):
    with serving((302, b"", {"Location": "/there"}), GOOD) as server:
        assert download(f"{server.url}/here").read_bytes() == BODY
    assert server.paths == ["/here", "/there"]


def test_a_full_disk_is_not_the_networks_fault(serving, download, monkeypatch, pauses):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with serving(GOOD) as server, pytest.raises(OSError, match="No space left"):
        download(server.url)
    assert pauses == []
