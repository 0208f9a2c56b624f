from __future__ import annotations

import hashlib

import pytest

from jaxtrain.data.text import tokenizer_file
from jaxtrain.data.text.tokenizer_file import TokenizerFile
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError


def test_its_bytes_and_their_digest(tmp_path, monkeypatch):
    path = tmp_path / "t.model"
    path.write_bytes(b"abc\xff")
    file = TokenizerFile.read(path)
    assert file.data == b"abc\xff"
    assert file.state() == {"kind": "file", "digest": hashlib.sha256(b"abc\xff").hexdigest()}
    with pytest.raises(DataError, match=r"t\.model: not a tokenizer: 'utf-8' codec"):
        file.text()
    monkeypatch.setattr(tokenizer_file, "_LARGEST", 4)
    assert TokenizerFile.read(path).data == b"abc\xff"
    monkeypatch.setattr(tokenizer_file, "_LARGEST", 3)
    with pytest.raises(DataError, match="more than 3 bytes"):
        TokenizerFile.read(path)


def test_there_is_none(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"tokenizer not found: .*none\.json; set data\.to"):
        TokenizerFile.read(tmp_path / "none.json")
    with pytest.raises(ConfigError, match=r"can't be read: .*directory"):
        TokenizerFile.read(tmp_path)
