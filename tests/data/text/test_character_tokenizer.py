from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=50, derandomize=True)
@given(TEXT)
def test_what_was_fitted_comes_back(text):
    tokenizer = CharacterTokenizer.fit([text])
    tokens = tokenizer.encode(text)
    assert len(tokens) == len(text)
    assert tokenizer.unknown not in tokens
    assert tokenizer.decode(tokens) == text


@settings(max_examples=50, derandomize=True)
@given(TEXT, TEXT)
def test_what_was_not_is_unknown(known, text):
    tokenizer = CharacterTokenizer.fit([known])
    expected = "".join(letter if letter in known else "\ufffd" for letter in text)
    assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_the_numbers_are_in_the_order_of_the_characters():
    tokenizer = CharacterTokenizer.fit(["ba", "c"])
    assert tokenizer.characters == "abc"
    assert tokenizer.encode("abcd") == [0, 1, 2, 3]
    assert (tokenizer.unknown, tokenizer.bos, tokenizer.eos, tokenizer.vocab_size) == (3, 4, 5, 6)
    assert [tokenizer.token_id(t) for t in ("c", "<unknown>", "<eos>", "d", "ab", "")] == [
        2,
        3,
        5,
        None,
        None,
        None,
    ]
    again = CharacterTokenizer(tokenizer.state()["characters"])
    assert again.digest() == tokenizer.digest()


@pytest.mark.parametrize("wrong", ["", "ba", "aa", "a\ud800"])
def test_a_vocabulary_that_is_none(wrong):
    with pytest.raises(DataError):
        CharacterTokenizer(wrong)
