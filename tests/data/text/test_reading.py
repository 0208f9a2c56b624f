from __future__ import annotations

import gzip
import hashlib

import pytest

from jaxtrain.data.text import reading
from jaxtrain.data.text.reading import file_digest, text_lines, text_parts
from jaxtrain.errors import ConfigError, DataError

TEXT = "né\r\n日本\u2028x\x85y\rz\n\nlast"


@pytest.fixture(params=["plain", "gz"])
def put(request, tmp_path):
    def put(data):
        if request.param == "plain":
            path = tmp_path / "a.txt"
            path.write_bytes(data)
        else:
            path = tmp_path / "a.txt.gz"
            path.write_bytes(gzip.compress(data))
        return path

    return put


@pytest.mark.parametrize("size", [1, 2, 3, 7, 2**18])
def test_the_text_as_it_stands(put, size, monkeypatch):
    monkeypatch.setattr(reading, "_PART", size)
    path = put(TEXT.encode())
    assert "".join(text_parts(path)) == TEXT
    lines = [(1, "né\r\n"), (2, "日本\u2028x\x85y\rz\n"), (3, "\n"), (4, "last")]
    assert list(text_lines(path)) == lines
    marked = put(b"\xef\xbb\xbf" + TEXT.encode() + "\ufeff".encode())
    assert "".join(text_parts(marked)) == TEXT + "\ufeff"
    assert list(text_parts(put(b""))) == []
    assert list(text_lines(put(b"a\n"))) == [(1, "a\n")]


@pytest.mark.parametrize("size", [1, 3, 4, 2**18])
@pytest.mark.parametrize("data", [b"abcd\xffgh", b"abcd\xe6\x97", b"abcd\xe6\x97ab"])
def test_what_is_not_utf8_is_named(put, size, data, monkeypatch):
    monkeypatch.setattr(reading, "_PART", size)
    with pytest.raises(DataError, match=r"a\.txt.*: not UTF-8: byte 4 \(.*\); save it as UTF-8"):
        list(text_parts(put(data)))


def test_a_line_without_end(put, monkeypatch):
    monkeypatch.setattr(reading, "_LONGEST_LINE", 5)
    monkeypatch.setattr(reading, "_PART", 4)
    with pytest.raises(DataError, match=r"line 2: longer than 5 characters"):
        list(text_lines(put(b"ab\n" + b"c" * 50)))
    assert len(list(text_lines(put(b"ab\n" + b"c" * 5 + b"\n")))) == 2


def test_the_digest_is_that_of_the_file(put):
    path = put(TEXT.encode())
    assert file_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_broken_and_missing(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(TEXT.encode() * 100)[:-9])
    with pytest.raises(DataError, match="gzip"):
        list(text_parts(path))
    with pytest.raises(ConfigError, match="can't be read"):
        list(text_parts(tmp_path / "none"))
