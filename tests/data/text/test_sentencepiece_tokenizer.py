from __future__ import annotations

import sys

import pytest

from jaxtrain.data.text.sentencepiece_tokenizer import SentencePieceTokenizer
from jaxtrain.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def model(shared_data):
    return shared_data / "tokenizers" / "mistral01.model"


def test_known_encodings_are_reproduced(model, expected):
    tokenizer = SentencePieceTokenizer(model)
    texts, tokens = expected("mistral01")
    assert [tokenizer.encode(text) for text in texts] == tokens
    assert [one.tolist() for one in tokenizer.encode_all(texts)] == tokens
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts
    assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (1, 2, None)
    assert tokenizer.vocab_size == 32000
    assert tokenizer.token_id("</s>") == 2
    assert tokenizer.token_id("<unk>") == 0
    assert tokenizer.decode([1, *tokenizer.encode("a\0b"), 2]) == "a\0b"


def test_what_is_no_model(model, tmp_path, capfd):
    data = model.read_bytes()
    path = tmp_path / "broken.model"
    for content in (b"", b"abc", b"\0" * 100, data[:1000], b"\xff" * 50, b'{"model": {}}'):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"broken\.model: not a tokenizer: "):
            SentencePieceTokenizer(path)


def test_pieces_that_are_no_text(model, tmp_path):
    data = model.read_bytes()
    path = tmp_path / "odd.model"
    path.write_bytes(data.replace("▁Once".encode(), b"\xff\xfe\xfdOnce"))
    tokenizer = SentencePieceTokenizer(path)
    number = SentencePieceTokenizer(model).token_id("▁Once")
    with pytest.raises(DataError, match=r"odd\.model: not a tokenizer: 'utf-8' codec"):
        tokenizer.decode([number])


def test_without_the_library(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ConfigError, match=r"read by sentencepiece, which is missing"):
        SentencePieceTokenizer(model)
