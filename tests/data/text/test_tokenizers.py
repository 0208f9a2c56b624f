from __future__ import annotations

import json

import pytest

from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.data.text.json_tokenizer import JsonTokenizer
from jaxtrain.data.text.llama2c_tokenizer import Llama2cTokenizer
from jaxtrain.data.text.sentencepiece_tokenizer import SentencePieceTokenizer
from jaxtrain.data.text.tokenizers import read_tokenizer, restored
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError


def test_by_word_and_by_ending(word_file, shared_data, tmp_path):
    root = str(shared_data)
    assert isinstance(read_tokenizer("bytes", root=root), ByteTokenizer)
    assert isinstance(read_tokenizer("tokenizer.json", root=str(word_file.parent)), JsonTokenizer)
    assert isinstance(read_tokenizer(str(word_file), root="elsewhere"), JsonTokenizer)
    found = read_tokenizer("stories260k/tok512.bin", root=root)
    assert isinstance(found, Llama2cTokenizer)
    found = read_tokenizer("tokenizers/mistral01.model", root=root)
    assert isinstance(found, SentencePieceTokenizer)
    with pytest.raises(ConfigError, match=r"ends in \.json, \.model, \.bin; found 'byte'"):
        read_tokenizer("byte", root=root)
    with pytest.raises(DataNotFoundError, match=r"set data\.tokenizer to its file"):
        read_tokenizer("none.json", root=str(tmp_path))


def test_as_a_checkpoint_knows_them(word_file, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(word_file.read_bytes())
    for made in (ByteTokenizer(), CharacterTokenizer("abc"), JsonTokenizer(path)):
        state = json.loads(json.dumps(made.state()))
        again = restored(state, "tokenizer.json", root=str(tmp_path))
        assert type(again) is type(made)
        assert again.digest() == made.digest()
    path.write_text(path.read_text().replace("mat", "rat"))
    with pytest.raises(DataError, match=r"not the tokenizer that the model was trained with"):
        restored(state, "tokenizer.json", root=str(tmp_path))
    for wrong in (None, {}, {"kind": "characters"}, {"kind": "x"}, [1]):
        with pytest.raises(DataError, match="the tokenizer of the run: expected its state"):
            restored(wrong, "bytes", root=".")
