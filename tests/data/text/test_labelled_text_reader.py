from __future__ import annotations

import csv
import json
import logging

import numpy as np
import pytest

from jaxtrain.data import READERS, Reader
from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.data.text.labelled_text_reader import LabelledTextReader, padded
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.main import main
from jaxtrain.run import make_config

OPTIONS = {"field": "text", "label": "label", "columns": (), "length": 4}


@pytest.fixture
def reader():
    return LabelledTextReader(ByteTokenizer(), ("bad", "good"), **OPTIONS)


def test_it_comes_back_in_another_process(reader):
    assert isinstance(reader, Reader)
    state = json.loads(json.dumps(reader.state()))
    said = "data={name: labelled_text, path: gone.tsv, length: 3, label: verdict}"
    config = make_config({}, [said])
    again = READERS.build(config.data, state=state)
    assert (again.classes, again.length, again.label) == (("bad", "good"), 3, "verdict")


@pytest.mark.parametrize("state", [{}, {"classes": [1]}, {"classes": ["a"], "tokenizer": 3}])
def test_what_is_no_state(state):
    config = make_config({}, ["data={name: labelled_text, path: gone.tsv}"])
    with pytest.raises(DataError, match=r"expected"):
        READERS.build(config.data, state=state)


def test_new_texts_need_no_label(reader, tmp_path):
    (tmp_path / "new.csv").write_text('text\n"one, two"\nb\n')
    rows = reader.read(tmp_path / "new.csv")
    assert bytes((rows.inputs[0] - 1).tolist()) == b"one,"
    assert (rows.inputs[1] - 1).tolist() == [98, -1, -1, -1]
    assert rows.labels is None
    assert rows.known is None
    assert rows.ids == {"row": [1, 2]}


def test_some_have_one(reader, tmp_path, caplog):
    lines = [
        {"text": "a", "label": "good"},
        {"text": "b"},
        {"text": "c", "label": None},
        {"text": "d", "label": "so so"},
        {"text": "e", "label": "bad"},
    ]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with caplog.at_level(logging.WARNING):
        rows = reader.read(tmp_path / "new.jsonl")
    assert rows.labels.tolist() == [1, 0, 0, 0, 0]
    assert rows.known.tolist() == [True, False, False, False, True]
    assert "1 texts have a label that is none of the classes, such as 'so so'" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "error", "match"),
    [
        ("new.txt", "a", ConfigError, "expected a file of records"),
        ("new.tsv", "words\na\n", ConfigError, "has no 'text'"),
        ("new.tsv", "text\n", DataError, "expected at least one text, found none"),
        ("new.jsonl", "{", DataError, "line 1: not JSON"),
    ],
)
def test_what_it_can_not_read(reader, tmp_path, name, text, error, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=match):
        reader.read(tmp_path / name)
    with pytest.raises(DataNotFoundError):
        reader.read(tmp_path / f"gone{name}")


def test_a_table_without_a_header_may_lack_the_labels(tmp_path):
    columns = ("id", "label", "text")
    reader = LabelledTextReader(ByteTokenizer(), ("bad", "good"), **{**OPTIONS, "columns": columns})
    (tmp_path / "new.tsv").write_text("7\tabc\n8\tde\n")
    rows = reader.read(tmp_path / "new.tsv")
    assert bytes((rows.inputs[0][:3] - 1).tolist()) == b"abc"
    assert rows.labels is None
    (tmp_path / "new.tsv").write_text("7\tgood\tabc\n")
    assert reader.read(tmp_path / "new.tsv").labels.tolist() == [1]
    (tmp_path / "new.tsv").write_text("7\n")
    with pytest.raises(DataError, match=r"line 1: expected 3 cells \(id, label, text\), found 1"):
        reader.read(tmp_path / "new.tsv")


def test_padding_stands_behind_a_text():
    found = padded(ByteTokenizer(), ["", "ab", "abcde"], length=3)
    np.testing.assert_array_equal(found, [[0, 0, 0], [98, 99, 0], [98, 99, 100]])


def test_a_stranger_trains_evaluates_and_predicts(shared_data, tmp_path, capsys):
    """Real reviews, by the command line alone; the training file is gone when it predicts."""
    every = (shared_data / "nsmc" / "nsmc_sample.tsv").read_text().splitlines()
    rows, later = every[:1601], every[1601:1801]
    (tmp_path / "train.tsv").write_text("\n".join(rows) + "\n")
    run = tmp_path / "run"
    config = tmp_path / "config.yaml"
    config.write_text(
        "data: {name: labelled_text, path: train.tsv, field: document, tokenizer: characters,\n"
        f"  length: 64, batch_size: 64, root: {tmp_path}}}\n"
        "model: {name: gru, vocabulary: 2048, padding_token: 0, embedding: 32, width: 32}\n"
        "optimizer: {learning_rate: 5.0e-3}\ntrain: {epochs: 4}\n"
    )
    assert main(["--config", str(config), "--workdir", str(run)]) == 0
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["test_accuracy"] > 0.6  # half of them are good
    (tmp_path / "train.tsv").unlink()
    new = tmp_path / "new.tsv"
    new.write_text("document\n" + "".join(line.split("\t")[1] + "\n" for line in later))
    out = tmp_path / "out.csv"
    words = ["--checkpoint", str(run), "--input", str(new), "--output", str(out)]
    assert main(["predict", *words]) == 0
    with out.open() as file:
        predicted = list(csv.DictReader(file))
    assert [one["row"] for one in predicted] == [str(number) for number in range(1, 201)]
    labels = [line.split("\t")[2] for line in later]
    right = sum(one["prediction"] == label for one, label in zip(predicted, labels, strict=True))
    assert right > 120
