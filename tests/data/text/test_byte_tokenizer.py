from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.data.text.byte_tokenizer import ByteTokenizer


@settings(max_examples=50, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text):
    tokenizer = ByteTokenizer()
    tokens = tokenizer.encode(text)
    assert bytes(tokens) == text.encode()
    assert tokenizer.decode(tokens) == text


def test_half_a_character_shows():
    tokenizer = ByteTokenizer()
    assert tokenizer.decode([110, 195]) == "n\ufffd"
    assert tokenizer.token_id("<bos>") == 256
    assert tokenizer.vocab_size == 258
    assert tokenizer.state() == {"kind": "bytes"}
