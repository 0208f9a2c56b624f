"""Bounds: what config.json says of a run's texts, and what files of others say."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.run.bounds import Bounds, read_bounds, stop_tokens, tokenizer_file


@pytest.mark.parametrize("bounds", [Bounds(None, ()), Bounds(1, (2,)), Bounds(0, (2, 3))], ids=str)
def test_what_is_written_is_read(tmp_path, bounds):
    (tmp_path / "config.json").write_text(json.dumps(bounds.entries()))
    assert read_bounds(tmp_path) == bounds


def test_transformers_reads_its_own_entries():
    entries = Bounds(1, (2, 3)).entries()
    assert (entries["bos_token_id"], entries["eos_token_id"]) == (1, [2, 3])
    assert Bounds(1, (2,)).entries()["eos_token_id"] == 2
    entries = Bounds(None, ()).entries()
    assert (entries["bos_token_id"], entries["eos_token_id"]) == (None, None)


def test_files_of_others_say_no_bounds(tmp_path):
    assert read_bounds(tmp_path) is None
    (tmp_path / "config.json").write_text('{"bos_token_id": 1, "eos_token_id": [2, 3]}')
    assert read_bounds(tmp_path) is None
    assert stop_tokens(tmp_path) == {2, 3}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 4}')
    assert stop_tokens(tmp_path) == {4}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([], "jaxtrain: expected bos and stop, found"),
        ({"bos": 1}, "jaxtrain: expected bos and stop, found"),
        ({"bos": "x", "stop": []}, r"jaxtrain\.bos: expected tokens, found 'x'"),
        ({"bos": None, "stop": [-1]}, r"jaxtrain\.stop: expected tokens, found -1"),
    ],
)
def test_what_is_no_bounds_is_told(tmp_path, said, message):
    (tmp_path / "config.json").write_text(json.dumps({"jaxtrain": said}))
    with pytest.raises(DataError, match=rf"config\.json: {message}"):
        read_bounds(tmp_path)


def test_the_tokenizer_in_a_directory(tmp_path):
    with pytest.raises(ConfigError, match=r"no tokenizer is found \(tokenizer\.json or"):
        tokenizer_file(tmp_path)
    for name in ("tokenizer.model", "tokenizer.json"):
        (tmp_path / name).write_text("")
        assert tokenizer_file(tmp_path) == tmp_path / name
