from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.text import encoding
from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.data.text.documents import Piece
from jaxtrain.data.text.encoding import encode
from jaxtrain.data.text.json_tokenizer import JsonTokenizer
from jaxtrain.errors import DataError


def encoded(pieces, tokenizer=None, **options):
    options = {"bos": None, "eos": None, **options}
    found = []
    for tokens, counts, last in encode(tokenizer or ByteTokenizer(), pieces, **options):
        assert tokens.dtype == np.int32
        found.append((tokens.tolist(), None if counts is None else counts.tolist(), last))
    return found


def test_documents_begin_and_end():
    pieces = [Piece("ab"), Piece(""), Piece("c", last=False), Piece("d", last=False), Piece("")]
    assert encoded(pieces) == [
        ([97, 98], None, True),
        ([99], None, False),
        ([100], None, False),
        ([], None, True),
    ]
    assert encoded(pieces, bos=256, eos=257) == [
        ([256, 97, 98, 257], None, True),
        ([256, 99], None, False),
        ([100], None, False),
        ([257], None, True),
    ]


@pytest.mark.parametrize("together", [1, 2, 4096])
def test_however_many_at_once(together, monkeypatch):
    pieces = [Piece("ab", prompt="x"), Piece("c"), Piece("d", prompt="yz"), Piece("", prompt="e")]
    expected = encoded(pieces, prompted=True, eos=257)
    monkeypatch.setattr(encoding, "_TOGETHER", together)
    monkeypatch.setattr(encoding, "PORTION", 3 * together)
    assert encoded(pieces, prompted=True, eos=257) == expected
    assert expected == [
        ([120, 97, 98, 257], [False, True, True, True], True),
        ([99, 257], [True, True], True),
        ([121, 122, 100, 257], [False, False, True, True], True),
        ([101, 257], [False, True], True),
    ]


def test_what_begins_a_document_is_not_learnt():
    assert encoded([Piece("a", prompt="x")], prompted=True, bos=256) == [
        ([256, 120, 97], [False, False, True], True)
    ]


def test_a_token_of_both_is_learnt(word_file):
    """ "the ma" alone ends in an unknown word; with "t" it is another."""
    tokenizer = JsonTokenizer(word_file)
    assert tokenizer.encode("the ma") == [3, 0]
    found = encoded([Piece("t sat", prompt="the ma")], tokenizer, prompted=True)
    assert found == [([3, 8, 5], [False, True, True], True)]


def test_a_document_that_can_not_be_encoded_is_named():
    pieces = [Piece("a", last=False), Piece("a"), Piece("b"), Piece("\ud800"), Piece("c")]
    with pytest.raises(DataError, match="about document 3: not text: half a character"):
        encoded(pieces)
