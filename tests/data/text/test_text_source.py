from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data import check_dataset
from jaxtrain.data.text.text_source import text_files
from jaxtrain.errors import ConfigError, DataNotFoundError
from jaxtrain.run import make_config
from jaxtrain.run.data import RunData


@pytest.fixture
def read(tmp_path):
    def read(fraction=0.1, seed=0, fitted=None, **options):
        return text_files(fraction, seed, fitted, **{"cache": str(tmp_path / "kept"), **options})

    return read


def read_back(splits, rows):
    """The text of a set, from its first input and its labels."""
    arrays = rows.arrays
    tokens = [arrays["inputs"][0, 0], *arrays["labels"][arrays["mask"] > 0]]
    return splits.reader.tokenizer.decode(tokens)


@pytest.mark.parametrize("tokenizer", ["characters", "bytes"])
def test_a_long_text_is_read_once_and_in_three_parts(read, shared_data, tokenizer):
    root = shared_data / "tiny_shakespeare"
    splits = read(path="input.txt", root=str(root), tokenizer=tokenizer, test_fraction=0.05)
    text = (root / "input.txt").read_text()
    parts = [read_back(splits, rows) for rows in splits.sets.values()]
    assert "".join(parts) == text
    assert [len(part) for part in parts] == [948_085, 111_539, 55_770]
    train = splits.train
    assert train.arrays["inputs"].shape == (3704, 256)
    assert set(train.arrays) == {"inputs", "labels", "mask"}
    assert train.arrays["mask"].sum() == len(parts[0]) - 1
    assert (train.name, train.task) == ("input", "language")
    assert train.num_outputs == {"characters": 68, "bytes": 258}[tokenizer]
    assert all(f.ok for rows in splits.sets.values() for f in check_dataset(rows))


def test_what_every_python_has(read):
    splits = read(tokenizer="characters", length=64)
    assert splits.train.name == "unicode_names"
    assert splits.train.num_outputs == 39 + 3
    assert read_back(splits, splits.train).startswith("arabic ligature alef with fathatan")
    assert splits.train.fingerprint() == read(tokenizer="characters", length=64).train.fingerprint()
    with pytest.raises(ConfigError, match=r"data\.path: give the text"):
        read(separator="\n")


def test_documents_of_a_table(read, shared_data):
    splits = read(
        path="nsmc_sample.tsv",
        root=str(shared_data / "nsmc"),
        field="document",
        tokenizer="characters",
        eos=True,
        length=128,
    )
    sizes = [rows.packing.tokens.documents for rows in splits.sets.values()]
    assert sizes == [14_580, 1620, 1800]
    arrays = splits.train.arrays
    assert set(arrays) == {"inputs", "labels", "mask", "segments", "positions"}
    eos = splits.reader.eos
    assert (arrays["labels"] == eos).sum() == 14_580
    # What follows an end is another review's beginning: never asked for.
    assert (arrays["mask"][arrays["inputs"] == eos] == 0).all()
    assert (arrays["positions"][arrays["segments"] == 0] == 0).all()


def test_documents_between_separators(read, tmp_path):
    (tmp_path / "stories.txt").write_text("\n--\n".join(f"story {n}" for n in range(10)) + "\n--\n")
    splits = read(path="stories.txt", root=str(tmp_path), separator="\n--\n", length=16)
    assert [rows.packing.tokens.documents for rows in splits.sets.values()] == [8, 1, 1]
    # A document goes on in the next row: all but the last one are full.
    assert (splits.train.arrays["segments"][:-1] > 0).all()
    with pytest.raises(ConfigError, match=r"data\.separator"):
        read(path="stories.txt", root=str(tmp_path), separator="")


def test_files_for_each_set_and_what_is_left_of_them(read, tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name} " * 20)
    options = {
        "root": str(tmp_path),
        "path": "train.txt",
        "test": "test.txt",
        "validation": "valid.txt",
        "tokenizer": "characters",
    }
    splits = read(**options)
    assert read_back(splits, splits.train) == "train " * 20
    assert read_back(splits, splits.validation).startswith("\ufffda\ufffdi\ufffd ")
    state = splits.reader.state()
    (tmp_path / "train.txt").unlink()
    with pytest.raises(DataNotFoundError):
        read(**options)
    later = read(fitted=state, **options)
    assert list(later.sets) == ["validation", "test"]
    assert later.test.fingerprint() == splits.test.fingerprint()


def test_known_tokens_are_packed(read, shared_data, word_file, tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on a mat and slept " * 10)
    splits = read(
        path=str(tmp_path / "t.txt"), root=str(word_file.parent), tokenizer="tokenizer.json"
    )
    tokens = splits.train.packing.tokens.flat
    assert tokens[:8].tolist() == [3, 4, 5, 6, 7, 8, 9, 10]
    with pytest.raises(ConfigError, match=r"data\.eos"):
        read(path=str(tmp_path / "t.txt"), eos="<end>")


def test_by_config(tmp_path):
    (tmp_path / "t.txt").write_text("abcdefgh" * 100)
    config = make_config(
        {"data": {"name": "text", "path": "t.txt", "length": 8, "batch_size": 4}},
        [f"data.root={tmp_path}", "data.eos=true", "data.bos=<bos>", "data.tokenizer=bytes"],
    )
    data = RunData.of(config)
    assert data.splits.reader.eos == 257
    assert data.splits.reader.bos == 256
    assert data.broken == ()
    assert data.example()["inputs"].shape == (4, 8)
    batch = next(iter(data.loader))
    assert batch["inputs"].dtype == np.int32
    assert batch["mask"].dtype == np.float32
    assert (tmp_path / ".jaxtrain-tokens").is_dir()
