"""Tokens of a caller: what is none is told by its place."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.generation.token_ids import token_ids


@pytest.mark.parametrize("tokens", [[0, 9], (0, 9), np.array([0, 9], np.uint16)])
def test_a_row_of_whole_numbers(tokens):
    found = token_ids(tokens, vocab_size=10, what="prompt 0")
    assert found.tolist() == [0, 9]
    assert found.dtype == np.int32


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "prompt 3: is empty; begin it with the tokenizer's bos"),
        (np.zeros(0, np.float32), "prompt 3: is empty"),
        ([1, 10], "prompt 3: expected tokens from 0 to 9, found 10 at 1"),
        ([-1], "found -1 at 0"),
        ([1.0], r"expected one row of whole numbers, found float64 \[1\]"),
        ([True], "found bool"),
        ([[1]], r"found int64 \[1, 1\]"),
        (7, r"found int64 \[\]"),
        ("text", "found <U4"),
        ([[1], [1, 2]], "expected one row of tokens"),
    ],
)
def test_what_is_none_is_told(tokens, message):
    with pytest.raises(DataError, match=message):
        token_ids(tokens, vocab_size=10, what="prompt 3")


def test_without_a_vocabulary_int32_is_the_limit():
    assert token_ids([2**31 - 2], what="x").tolist() == [2**31 - 2]
    with pytest.raises(DataError, match="found 2147483648"):
        token_ids([2**31], what="x")
