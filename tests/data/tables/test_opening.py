"""Text of any encoding as UTF-8, and bombs."""

from __future__ import annotations

import gzip

import pytest

from jaxtrain.data.tables.opening import read_start, utf8_pieces
from jaxtrain.errors import ConfigError, DataError


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp949", "latin-1"]
)
def test_every_encoding_becomes_utf_8_whatever_the_pieces(write, monkeypatch, encoding, piece):
    monkeypatch.setattr("jaxtrain.data.tables.opening._PIECE", piece)
    text = "né,a\n" if encoding == "latin-1" else "나이,a\n1,b\n"
    path = write(text.encode(encoding))
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    assert b"".join(utf8_pieces(path, named)) == text.encode()


def test_a_byte_order_mark_in_the_middle_stays(write):
    assert b"".join(utf8_pieces(write("\ufeffa\ufeff"), "utf-8")) == "a\ufeff".encode()


def test_gzip(write):
    path = write(gzip.compress(b"a\n1\n"), "t.csv.gz")
    assert b"".join(utf8_pieces(path, "utf-8")) == b"a\n1\n"
    assert read_start(path, 3) == b"a\n1"


@pytest.mark.parametrize("piece", [2, 3, 100])
def test_the_place_of_what_is_not_text(write, monkeypatch, piece):
    monkeypatch.setattr("jaxtrain.data.tables.opening._PIECE", piece)
    path = write(b"a\n\xc3\xa9\xff\n")
    with pytest.raises(DataError, match=r"t\.csv: not UTF-8 text: invalid start byte at byte 4"):
        list(utf8_pieces(path, "utf-8"))


def test_what_it_looks_like_is_said(write):
    """Seen: a Korean file from a spreadsheet, "not UTF-8 text", and no word of what to do."""
    path = write("이름,나이\n김철수,3\n이영희,4\n박민수,5\n".encode("cp949"))
    with pytest.raises(DataError, match=r'it looks like cp949: set data\.encoding="cp949"'):
        list(utf8_pieces(path, "utf-8"))


def test_cut_off_in_the_middle_of_a_letter(write):
    with pytest.raises(DataError, match=r"unexpected end of data at byte 2"):
        list(utf8_pieces(write(b"a\n\xc3"), "utf-8"))


def test_a_bomb_is_refused(write, monkeypatch):
    monkeypatch.setattr("jaxtrain.data.tables.opening._LARGEST", 1000)
    path = write(gzip.compress(b"a\n" + b"1\n" * 500), "t.csv.gz")
    with pytest.raises(DataError, match="larger than the 1,000 bytes"):
        list(utf8_pieces(path, "utf-8"))
    assert sum(map(len, utf8_pieces(write("1\n" * 900), "utf-8"))) == 1800  # paid for


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        list(utf8_pieces(tmp_path / "t.csv", "utf-8"))
