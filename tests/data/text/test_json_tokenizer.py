from __future__ import annotations

import json
import sys

import pytest

from jaxtrain.data.text.json_tokenizer import JsonTokenizer
from jaxtrain.errors import ConfigError, DataError


@pytest.mark.parametrize("name", ["gpt2", "bert_base_cased"])
def test_known_encodings_are_reproduced(name, expected, shared_data):
    tokenizer = JsonTokenizer(shared_data / "tokenizers" / f"{name}_tokenizer.json")
    texts, tokens = expected(name)
    assert [tokenizer.encode(text) for text in texts] == tokens
    assert [one.tolist() for one in tokenizer.encode_all(texts)] == tokens
    if name == "gpt2":
        plain = [text for text in texts if "<|" not in text]
        assert [tokenizer.decode(tokenizer.encode(text)) for text in plain] == plain
        assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (50256, 50256, None)
        assert tokenizer.vocab_size == 50257
    else:
        assert (tokenizer.bos, tokenizer.eos, tokenizer.pad) == (None, None, 0)
        assert tokenizer.vocab_size == 28996


def test_all_of_a_text_and_nothing_else(word_file):
    """The file asks for two tokens a text, filled up to seven."""
    tokenizer = JsonTokenizer(word_file)
    assert tokenizer.encode("the cat sat on a mat") == [3, 4, 5, 6, 7, 8]
    assert tokenizer.encode("the") == [3]
    assert [one.tolist() for one in tokenizer.encode_all(["the", "the cat sat"])] == [
        [3],
        [3, 4, 5],
    ]
    assert tokenizer.encode("<s>the</s> dog") == [1, 3, 2, 0]


def test_which_tokens_begin_and_end(word_file, tmp_path):
    assert (JsonTokenizer(word_file).bos, JsonTokenizer(word_file).eos) == (1, 2)
    path = tmp_path / "tokenizer.json"
    path.write_bytes(word_file.read_bytes())
    beside = tmp_path / "tokenizer_config.json"
    beside.write_text(json.dumps({"bos_token": {"content": "the"}, "eos_token": None}))
    tokenizer = JsonTokenizer(path)
    assert (tokenizer.bos, tokenizer.eos) == (3, 2)
    assert tokenizer.file.data == word_file.read_bytes()
    assert tokenizer.beside.data == beside.read_bytes()
    assert JsonTokenizer(word_file).beside is None
    for wrong in ("[1]", "{", "[" * 100_000):
        beside.write_text(wrong)
        with pytest.raises(DataError, match=r"tokenizer_config\.json: not a tokenizer: "):
            JsonTokenizer(path)


def test_a_word_that_looks_like_a_special_token_is_a_word(word_file, tmp_path):
    record = json.loads(word_file.read_text())
    record["added_tokens"] = []
    path = tmp_path / "plain.json"
    path.write_text(json.dumps(record))
    tokenizer = JsonTokenizer(path)
    assert (tokenizer.bos, tokenizer.eos) == (None, None)
    assert tokenizer.token_id("<s>") == 1


def test_merges_are_never_dropped(tmp_path):
    letters = {letter: number for number, letter in enumerate("abc")}
    record = {
        "version": "1.0",
        "model": {
            "type": "BPE",
            "dropout": 0.9,
            "vocab": {**letters, "ab": 3, "abc": 4},
            "merges": [["a", "b"], ["ab", "c"]],
        },
    }
    path = tmp_path / "bpe.json"
    path.write_text(json.dumps(record))
    assert JsonTokenizer(path).encode("abcabc" * 20) == [4] * 40


def test_gaps_in_the_numbers_count(word_file, tmp_path):
    record = json.loads(word_file.read_text())
    record["model"]["vocab"]["far"] = 99
    path = tmp_path / "gaps.json"
    path.write_text(json.dumps(record))
    tokenizer = JsonTokenizer(path)
    assert tokenizer.encode("far") == [99]
    assert tokenizer.vocab_size == 100


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"version":"1.0","model":{"type":"WordLevel","vocab":{},"unk_token":"x"}}',
        b'{"model":{"vocab":{"a":0},"merges":[["a","b"]]}}',
        b"[" * 1_000_000,
        b'{"version":"1.0","model":' + b"[" * 100_000,
    ],
)
def test_what_is_no_tokenizer(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.json: not a tokenizer: "):
        JsonTokenizer(path)


def test_a_cut_file_is_none(word_file, tmp_path):
    data = word_file.read_bytes()
    path = tmp_path / "cut.json"
    for length in range(0, len(data) - 1, 97):
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match="not a tokenizer"):
            JsonTokenizer(path)


def test_a_text_that_it_can_not_encode(tmp_path):
    path = tmp_path / "strict.json"
    path.write_text(
        '{"version":"1.0","model":{"type":"WordLevel","vocab":{"a":5},"unk_token":"x"}}'
    )
    with pytest.raises(DataError, match=r"strict\.json: .*Missing \[UNK\] token"):
        JsonTokenizer(path).encode("b")


def test_without_the_library(word_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"read by tokenizers, which is missing .*'jaxtrain\[te"):
        JsonTokenizer(word_file)
