"""What all tokenizers have in common."""

from __future__ import annotations

import pytest

from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.data.text.json_tokenizer import JsonTokenizer
from jaxtrain.data.text.llama2c_tokenizer import Llama2cTokenizer
from jaxtrain.data.text.sentencepiece_tokenizer import SentencePieceTokenizer
from jaxtrain.data.text.tokenizer import Tokenizer, special_id
from jaxtrain.errors import ConfigError, DataError

TEXTS = ["the cat sat on a mat", "", "the mat and the cat"]


@pytest.fixture(params=["bytes", "characters", "json", "sentencepiece", "llama2c"])
def tokenizer(request, word_file):
    if request.param == "bytes":
        return ByteTokenizer()
    if request.param == "characters":
        return CharacterTokenizer.fit(TEXTS)
    if request.param == "json":
        return JsonTokenizer(word_file)
    shared = request.getfixturevalue("shared_data")
    if request.param == "sentencepiece":
        return SentencePieceTokenizer(shared / "tokenizers" / "mistral01.model")
    return Llama2cTokenizer(shared / "stories260k" / "tok512.bin")


def test_there_and_back(tokenizer):
    assert isinstance(tokenizer, Tokenizer)
    for text, tokens in zip(TEXTS, tokenizer.encode_all(TEXTS), strict=True):
        assert tokens.tolist() == tokenizer.encode(text)
        assert tokens.dtype == "int32"
        assert tokens.ndim == 1
        assert all(0 <= token < tokenizer.vocab_size for token in tokens)
        assert tokenizer.decode(tokens) == text
    assert tokenizer.encode("") == []


def test_special_tokens_stand_for_no_text(tokenizer):
    tokens = [tokenizer.bos, *tokenizer.encode("the cat"), tokenizer.eos]
    assert tokenizer.decode(tokens) == "the cat"
    assert special_id(tokenizer, True, option="bos") == tokenizer.bos
    assert special_id(tokenizer, True, option="eos") == tokenizer.eos
    assert special_id(tokenizer, False, option="eos") is None


def test_what_is_no_token_and_what_is_no_text(tokenizer):
    for wrong in (-1, tokenizer.vocab_size):
        with pytest.raises(DataError, match=rf"token {wrong}: expected 0 to "):
            tokenizer.decode([wrong])
    with pytest.raises(DataError, match=r"half a character, U\+D800, at 4 of 'the \\ud800'"):
        tokenizer.encode("the \ud800")
    with pytest.raises(DataError, match="half a character"):
        tokenizer.encode_all(["the", "\udfff"])
    assert tokenizer.token_id("no such token at all") is None
    with pytest.raises(ConfigError, match=r"data\.eos: the tokenizer has no token 'nonesuch'"):
        special_id(tokenizer, "nonesuch", option="eos")


def test_digests_tell_them_apart(tokenizer):
    assert tokenizer.digest() != CharacterTokenizer("xyz").digest()
    assert tokenizer.digest() == tokenizer.digest()


def test_a_special_token_that_is_not_known():
    class Bare(ByteTokenizer):
        bos = None

    with pytest.raises(ConfigError, match=r"data\.bos: the tokenizer does not say .*'<s>'"):
        special_id(Bare(), True, option="bos")
    assert special_id(Bare(), "<eos>", option="bos") == 257
