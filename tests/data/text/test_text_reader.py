from __future__ import annotations

import json

import pytest

from jaxtrain.config import check
from jaxtrain.data import READERS, Reader
from jaxtrain.data.text.character_tokenizer import CharacterTokenizer
from jaxtrain.data.text.text_reader import TextReader, text_reader, tokenizer_of
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.run.registries import REGISTRIES


def test_it_comes_back_in_another_process():
    reader = TextReader(CharacterTokenizer("abc"), bos=4, eos=None)
    assert isinstance(reader, Reader)
    state = json.loads(json.dumps(reader.state()))
    section = {"name": "text", "path": "gone.txt", "tokenizer": "characters", "bos": True}
    config = check({"data": section}, REGISTRIES)
    again = READERS.build(config.data, state=state)
    assert again.tokenizer.encode("cab") == [2, 0, 1]
    assert (again.bos, again.eos) == (4, None)
    assert {"text", "instructions", "multiple_choice"} <= {*READERS.names()}


@pytest.mark.parametrize("wrong", [None, {}, [1], {"tokenizer": 3}])
def test_what_is_no_state(wrong):
    with pytest.raises(DataError, match=r"(reader of text|tokenizer of the run): expected"):
        tokenizer_of(wrong, "bytes", root=".")


def test_it_predicts_no_rows(tmp_path):
    made = text_reader(
        {"tokenizer": {"kind": "bytes"}}, tokenizer="bytes", root=".", bos=False, eos=True
    )
    assert made.eos == 257
    with pytest.raises(ConfigError, match=r"a model of language predicts no rows"):
        made.read(tmp_path / "new.txt")
