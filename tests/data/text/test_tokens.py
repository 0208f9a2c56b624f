from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.text.tokens import Encoded, gathered, token_dtype
from jaxtrain.errors import DataError


def encoded(*documents):
    return [Encoded(np.array(tokens, np.int32)) for tokens in documents]


def test_end_to_end():
    tokens = gathered(encoded([1, 2], [], [3]), vocab_size=4)
    assert tokens.flat.tolist() == [1, 2, 3]
    assert tokens.flat.dtype == np.uint16
    assert tokens.offsets.tolist() == [0, 2, 3]
    assert (len(tokens), tokens.documents, tokens.counts) == (3, 2, None)


def test_documents_in_parts():
    parts = [
        Encoded(np.array([1, 2]), np.array([False, True]), last=False),
        Encoded(np.array([3]), np.array([True]), last=False),
        Encoded(np.array([], np.int32), np.array([], bool)),
        Encoded(np.array([4]), np.array([True]), last=False),
    ]
    tokens = gathered(parts, vocab_size=5)
    assert tokens.offsets.tolist() == [0, 3, 4]
    assert tokens.counts.tolist() == [False, True, True, True]


def test_the_digest_says_which_they_are():
    digest = gathered(encoded([1, 2], [3]), vocab_size=4).digest
    assert gathered(encoded([1, 2], [3]), vocab_size=4).digest == digest
    assert gathered(encoded([1, 2], [2]), vocab_size=4).digest != digest
    assert gathered(encoded([1], [2, 3]), vocab_size=4).digest != digest


@pytest.mark.parametrize("documents", [[], [[]], [[1]]])
def test_too_few(documents):
    with pytest.raises(DataError, match=f"{sum(map(len, documents))} tokens in all documents"):
        gathered(encoded(*documents), vocab_size=4)


@pytest.mark.parametrize("wrong", [-1, 4])
def test_what_is_no_token(wrong):
    with pytest.raises(DataError, match=r"document 1: tokens from .*; expected 0 to 3"):
        gathered(encoded([1], [3, wrong]), vocab_size=4)


def test_the_smallest_dtype():
    assert token_dtype(2**16) == np.uint16
    assert token_dtype(2**16 + 1) == np.uint32
    assert gathered(encoded([70000, 1]), vocab_size=70001).flat.tolist() == [70000, 1]
