from __future__ import annotations

import gzip
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.data.text import documents as module
from jaxtrain.data.text.documents import Piece, RecordDocuments, TextDocuments, cut, only


def parted(text, size):
    return [text[first : first + size] for first in range(0, len(text), size)]


def whole(pieces):
    """The documents, their pieces put together."""
    texts, rest = [], ""
    for piece in pieces:
        rest += piece.text
        if piece.last:
            texts.append(rest)
            rest = ""
    assert rest == ""
    return texts


@settings(max_examples=300, derandomize=True)
@given(
    st.text("ab|\n", max_size=40),
    st.sampled_from(["|", "||", "a|", "\n\n"]),
    st.integers(1, 7),
    st.integers(1, 12),
)
def test_where_documents_end_does_not_depend_on_parts(text, separator, size, portion):
    parts = parted(text, size)
    before = module.PORTION
    module.PORTION = portion
    try:
        pieces = list(cut(parts, separator))
        again = list(cut([text], separator))
    finally:
        module.PORTION = before
    expected = text.split(separator)
    expected = expected if expected[-1] else expected[:-1]
    assert whole(pieces) == expected == whole(again)
    assert all(len(p.text) <= portion + len(separator) for p in pieces if not p.last)


@settings(max_examples=100, derandomize=True)
@given(st.text("ab\n", min_size=1, max_size=60), st.integers(1, 9))
def test_a_long_document_is_cut_before_a_line(text, size):
    parts = parted(text, size)
    before = module.PORTION
    module.PORTION = 8
    try:
        pieces = list(cut(parts, None))
        assert pieces == list(cut([text], None))
    finally:
        module.PORTION = before
    assert whole(pieces) == [text]
    for piece in pieces[:-1]:
        assert len(piece.text) <= 8
        assert piece.text.endswith("\n") or "\n" not in piece.text


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text("one\n--\ntwo\n--\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"three"))
    (tmp_path / "c.jsonl").write_text('{"body": "four"}\n{"body": ""}\n{"body": "six"}\n')
    return tuple(sorted(tmp_path.iterdir()))


def test_files_of_all_kinds(files):
    documents = TextDocuments(files, separator="\n--\n", field="body")
    assert whole(documents.pieces()) == ["one", "two", "three", "four", "", "six"]
    assert documents.count() == 6
    chosen = np.array([False, True, True, False, True, True])
    assert whole(documents.selected(chosen).pieces()) == ["two", "three", "", "six"]
    assert whole(TextDocuments(files[:2]).pieces()) == ["one\n--\ntwo\n--\n", "three"]


def test_a_stretch_of_one_text(files):
    text = TextDocuments(files[:1])
    assert text.length() == 14
    assert whole(text.stretch(2, 9).pieces()) == ["e\n--\ntw"]
    thirds = [text.stretch(start, start + 5) for start in (0, 5, 10)]
    assert (
        "".join(whole(itertools.chain(*(one.pieces() for one in thirds)))) == "one\n--\ntwo\n--\n"
    )


def test_a_stretch_over_the_borders_of_parts():
    for start, stop in [(0, 7), (1, 4), (3, 6), (4, 6), (2, 2)]:
        assert "".join(module.stretched(["abc", "de", "fg"], start, stop)) == "abcdefg"[start:stop]


def test_the_text_that_python_has():
    text = TextDocuments((None,))
    assert text.length() == 354_743
    assert text.count() == 1
    assert whole(text.stretch(0, 6).pieces()) == ["arabic"]


def test_records_become_documents(files):
    documents = RecordDocuments(
        files[2:], lambda record: Piece(record.cell("body"), prompt="?"), words="w"
    )
    assert [piece.text for piece in documents.pieces()] == ["four", "", "six"]
    assert documents.count() == 3
    chosen = documents.selected(np.array([True, False, True]))
    assert [(piece.text, piece.prompt) for piece in chosen.pieces()] == [
        ("four", "?"),
        ("six", "?"),
    ]


def test_the_digest_says_which_they_are(files):
    text = TextDocuments(files, separator="\n--\n", field="body")
    chosen = np.array([True] * 6)
    others = [
        text,
        TextDocuments(files, separator="--", field="body"),
        TextDocuments(files, separator="\n--\n", field="text"),
        TextDocuments(files, separator="\n--\n", field="body", columns=("body",)),
        TextDocuments(files[::-1], separator="\n--\n", field="body"),
        TextDocuments(files[:2], separator="\n--\n", field="body"),
        text.selected(chosen),
        text.selected(~chosen),
        text.stretch(0, 5),
        text.stretch(0, 6),
        RecordDocuments(files[2:], lambda record: Piece(""), words="a"),
        RecordDocuments(files[2:], lambda record: Piece(""), words="b"),
        RecordDocuments(files[2:], lambda record: Piece(""), words="a", chosen=chosen[:3]),
    ]
    digests = [one.digest() for one in others]
    assert len(set(digests)) == len(digests)
    assert [one.digest() for one in others] == digests
    files[0].write_text("one\n--\ntwo!\n--\n")
    assert text.digest() != digests[0]


def test_pieces_of_what_was_chosen():
    pieces = [Piece("a", last=False), Piece("b"), Piece("c"), Piece("d", last=False), Piece("")]
    found = only(np.array([True, False, True]), pieces)
    assert [piece.text for piece in found] == ["a", "b", "d", ""]
    assert list(only(None, pieces)) == pieces
