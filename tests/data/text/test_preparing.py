from __future__ import annotations

import logging

import numpy as np
import pytest

from jaxtrain.data.text.documents import Piece, RecordDocuments, TextDocuments
from jaxtrain.data.text.preparing import (
    CACHE,
    Prepared,
    TextOptions,
    find_files,
    find_sets,
    record_sets,
)
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError


@pytest.fixture
def root(tmp_path):
    for name in ("a.txt", "b.txt", "c.txt.gz", "d.jsonl", "odd[1].txt"):
        (tmp_path / name).write_text("abcab")
    (tmp_path / "z.txt").mkdir()
    return tmp_path


def options(root, **changes):
    made = {"length": 4, "tokenizer": "characters", "bos": False, "eos": False, "cache": None}
    return TextOptions(root=str(root), **{**made, **changes})


def prepared(root, parts, fitted=None, layout="stream", **changes):
    documents = {name: TextDocuments((root / file,)) for name, file in parts.items()}
    return Prepared(documents, options(root, **changes), fitted=fitted, layout=layout)


def test_files_by_name_and_by_pattern(root):
    def names(pattern):
        return [path.name for path in find_files(str(root), pattern, option="path")]

    assert names("a.txt") == ["a.txt"]
    assert names("c.txt") == ["c.txt.gz"]
    assert names("*.txt") == ["a.txt", "b.txt", "odd[1].txt"]
    assert names("[ab].txt") == ["a.txt", "b.txt"]
    assert names("odd[1].txt") == ["odd[1].txt"]
    for missing in ("none.txt", "*.csv"):
        with pytest.raises(DataNotFoundError, match=r"data\.root .*, or data\.path to its name"):
            find_files(str(root), missing, option="path")


def test_no_file_stands_in_two_sets(root):
    found = find_sets("a.txt", root=str(root), validation="b.txt", test="c.txt", fitted=None)
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "train": ["a.txt"],
        "validation": ["b.txt"],
        "test": ["c.txt.gz"],
    }
    with pytest.raises(ConfigError, match=r"data\.test: .*a\.txt is in the train set, too"):
        find_sets("[ab].txt", root=str(root), validation=None, test="a.txt", fitted=None)


def test_the_training_text_may_be_gone_later(root):
    def sets(fitted, test):
        return find_sets("no.txt", root=str(root), validation=None, test=test, fitted=fitted)

    assert list(sets({}, "a.txt")) == ["test"]
    for fitted, test in ((None, "a.txt"), ({}, None)):
        with pytest.raises(DataNotFoundError):
            sets(fitted, test)


def test_records_come_from_files_of_records(root):
    def sets(path):
        return record_sets(
            lambda files: RecordDocuments(files, lambda record: Piece(""), words=""),
            path=path,
            root=str(root),
            validation=None,
            test="d.jsonl",
            fitted=None,
            validation_fraction=0.0,
            seed=0,
            test_fraction=0.1,
            split_seed=0,
        )

    with pytest.raises(ConfigError, match=r"data\.path: .*a\.txt: expected a file of records"):
        sets("a.txt")


def test_characters_are_those_of_the_training_text(root, caplog):
    (root / "b.txt").write_text("abxyc")
    with caplog.at_level(logging.WARNING):
        made = prepared(root, {"train": "a.txt", "test": "b.txt"})
    assert "test: 2 of 5 characters are none of the training text's" in caplog.text
    assert made.reader.tokenizer.characters == "abc"
    assert made.rows("train", name="n").arrays["labels"].tolist() == [[1, 2, 0, 1]]
    assert made.rows("test", name="n").arrays["labels"].tolist() == [[1, 3, 3, 2]]
    assert made.rows("validation", name="n") is None
    # A trained model knows its own.
    state = made.reader.state()
    later = prepared(root, {"train": "b.txt"}, fitted=state)
    assert later.reader.tokenizer.characters == "abc"


def test_all_sets_have_the_same_arrays(root):
    (root / "d.jsonl").write_text('{"text": "ab"}\n{"text": "c"}\n')
    made = prepared(root, {"train": "a.txt", "test": "d.jsonl"})
    names = {"inputs", "labels", "mask", "segments", "positions"}
    assert {*made.rows("train", name="n").arrays} == names
    assert {*made.rows("test", name="n").arrays} == names
    alone = prepared(root, {"train": "a.txt", "test": "b.txt"})
    assert {*alone.rows("train", name="n").arrays} == names - {"segments", "positions"}


def test_tokens_are_kept_under_what_they_are_made_of(root):
    def entries():
        return {path.name for path in (root / CACHE).iterdir()}

    prepared(root, {"train": "a.txt"}, tokenizer="bytes")
    first = entries()
    prepared(root, {"train": "a.txt"}, tokenizer="bytes", length=9)
    assert entries() == first
    for count, changes in enumerate([{"eos": True}, {"bos": True}, {"tokenizer": "characters"}], 2):
        prepared(root, {"train": "a.txt"}, **{"tokenizer": "bytes", **changes})
        assert len(entries()) == count
    (root / "a.txt").write_text("abcabc")
    prepared(root, {"train": "a.txt"}, tokenizer="bytes")
    assert len(entries()) == 5


def test_the_cache_may_be_elsewhere(root, tmp_path):
    made = prepared(root, {"train": "a.txt"}, cache=str(tmp_path / "kept"))
    assert not (root / CACHE).exists()
    assert isinstance(made.packings["train"].tokens.flat, np.memmap)
    (tmp_path / "way").write_text("")
    with pytest.raises(ConfigError, match=r"data\.cache"):
        prepared(root, {"train": "a.txt"}, cache=str(tmp_path / "way"))


def test_what_is_broken_says_in_which_set(root):
    (root / "b.txt").write_bytes(b"ab\xff")
    with pytest.raises(DataError, match=r"test: .*b\.txt: not UTF-8: byte 2"):
        prepared(root, {"train": "a.txt", "test": "b.txt"}, tokenizer="bytes")
    (root / "b.txt").write_text("a")
    with pytest.raises(DataError, match="test: 1 tokens in all documents"):
        prepared(root, {"train": "a.txt", "test": "b.txt"}, tokenizer="bytes")
