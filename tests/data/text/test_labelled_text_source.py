from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from jaxtrain.data.text.labelled_text_source import LabelledTexts, labelled_text
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.run import Experiment, RunData, Task, make_config

ROWS = [("gut", 1), ("sehr gut", 1), ("schlecht", 0), ("sehr schlecht", 0), ("mies", 0)]


def table(path, rows, header="text\tlabel\n"):
    path.write_text(header + "".join(f"{text}\t{label}\n" for text, label in rows))
    return path


@pytest.fixture
def root(tmp_path):
    table(tmp_path / "train.tsv", ROWS * 4)
    table(tmp_path / "test.tsv", [("gut, nicht schlecht", 1), ("öd", 0)])
    return tmp_path


def test_tokens_padding_and_classes(root, caplog):
    with caplog.at_level(logging.WARNING):
        splits = labelled_text(0.2, 0, root=str(root), path="train.tsv", test="test.tsv", length=12)
    assert {name: len(rows) for name, rows in splits.sets.items()} == {
        "train": 16,
        "validation": 4,
        "test": 2,
    }
    rows = splits.test
    assert isinstance(rows, LabelledTexts)
    assert rows.inputs.dtype == np.int32
    assert bytes((rows.inputs[0] - 1).tolist()) == b"gut, nicht s"
    assert (rows.inputs[1] - 1).tolist() == [*"öd".encode(), *[-1] * 9]
    assert rows.labels.tolist() == [1, 0]
    assert (rows.num_outputs, rows.label_names, rows.vocabulary) == (2, ("0", "1"), 259)
    assert "test: 1 of 2 texts are longer than data.length=12 tokens, and cut" in caplog.text
    # Every class gives its share.
    assert sorted(splits.validation.labels.tolist()) == [0, 0, 1, 1]


def test_the_test_texts_do_not_depend_on_the_seed(root):
    def read(seed, **options):
        return labelled_text(0.2, seed, root=str(root), path="train.tsv", **options)

    first, second = read(0), read(1)
    np.testing.assert_array_equal(first.test.inputs, second.test.inputs)
    assert not np.array_equal(first.validation.inputs, read(2).validation.inputs) or not (
        np.array_equal(first.validation.inputs, second.validation.inputs)
    )
    assert len(first.train) + len(first.validation) + len(first.test) == len(ROWS) * 4
    assert not np.array_equal(first.test.inputs, read(0, split_seed=1).test.inputs)


def test_characters_are_those_of_the_training_texts(root):
    table(root / "other.tsv", [("zut", 1)])
    splits = labelled_text(
        0.0, 0, root=str(root), path="train.tsv", test="other.tsv", tokenizer="characters", length=4
    )
    tokenizer = splits.reader.tokenizer
    assert "z" not in tokenizer.characters
    assert tokenizer.encode("z") == [tokenizer.unknown]
    assert splits.test.inputs[0].tolist() == [*(one + 1 for one in tokenizer.encode("zut")), 0]
    assert splits.train.vocabulary == tokenizer.vocab_size + 1
    assert splits.train.inputs.max() < splits.train.vocabulary


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([10, 9, 2], ("2", "9", "10")), (["pos", "neg", "neutral"], ("neg", "neutral", "pos"))],
)
def test_the_order_of_classes(tmp_path, labels, classes):
    lines = [json.dumps({"say": f"text {n}", "as": label}) for label in labels for n in range(3)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    splits = labelled_text(
        0.0, 0, root=str(tmp_path), path="x.jsonl", field="say", label="as", test_fraction=0.3
    )
    assert splits.train.label_names == classes
    names = [classes[number] for number in splits.test.labels]
    assert sorted(names) == sorted(classes)
    said = labelled_text(
        0.0,
        0,
        root=str(tmp_path),
        path="x.jsonl",
        field="say",
        label="as",
        test_fraction=0.3,
        classes=classes[::-1],
    )
    assert said.train.label_names == classes[::-1]


@pytest.mark.parametrize(
    ("rows", "options", "error", "match"),
    [
        ([("a", "")], {}, DataError, r"train.tsv, line 2: 'label': expected a label, found none"),
        ([], {}, DataError, r"train.tsv: expected at least one text, found none"),
        ([("a", 1)], {"label": "lable"}, ConfigError, r"has no 'lable'; did you mean 'label'"),
        ([("a", 1)] * 3, {"field": "txt"}, ConfigError, r"line \d: has no 'txt'"),
        (
            [("a", 1), ("b", 2)],
            {"classes": ("1",)},
            DataError,
            r"line 3: expected one of the 1 classes \(1\), found '2'",
        ),
        (
            [("a", 1)],
            {"classes": ("1", "1")},
            ConfigError,
            r"data.classes: expected each class once",
        ),
        ([("a", 1)], {"test": "train.tsv"}, ConfigError, r"data.test: .* is in the train set, too"),
        ([("a", 1)], {"test": "gone.tsv"}, DataNotFoundError, r"gone.tsv"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, rows, options, error, match):
    table(tmp_path / "train.tsv", rows)
    with pytest.raises(error, match=match):
        labelled_text(0.0, 0, root=str(tmp_path), path="train.tsv", **options)


def test_a_trained_model_keeps_its_tokenizer_and_classes(root):
    """The training file is gone, or is another by now."""
    options = {"root": str(root), "path": "train.tsv", "test": "test.tsv", "length": 24}
    before = labelled_text(0.2, 0, tokenizer="characters", classes=("1", "0"), **options)
    fitted = json.loads(json.dumps(before.reader.state()))
    table(root / "train.tsv", [("xyz", 5), ("zyx", 4)] * 3)
    with pytest.raises(DataError, match=r"train.tsv, line 2: expected one of the 2 classes"):
        labelled_text(0.2, 0, fitted, tokenizer="characters", **options)
    (root / "train.tsv").unlink()
    again = labelled_text(0.2, 0, fitted, tokenizer="characters", **options)
    assert (again.train, again.validation) == (None, None)
    assert again.test.label_names == ("1", "0")
    np.testing.assert_array_equal(again.test.inputs, before.test.inputs)
    np.testing.assert_array_equal(again.test.labels, before.test.labels)


def test_labels_that_look_alike_are_told(tmp_path, caplog):
    table(tmp_path / "train.tsv", [("a", "good"), ("b", "good "), ("c", "Good"), ("d", "bad")] * 3)
    splits = labelled_text(0.0, 0, root=str(tmp_path), path="train.tsv", test_fraction=0.3)
    assert splits.train.num_outputs == 4
    assert "the classes 'Good', 'good', 'good ' differ by blanks or case alone" in caplog.text


def test_columns_beside_a_header_are_refused(tmp_path):
    table(tmp_path / "train.tsv", ROWS * 2)
    with pytest.raises(
        ConfigError, match=r"data.columns: line 1 of .* is a header with these very"
    ):
        labelled_text(0.0, 0, root=str(tmp_path), path="train.tsv", columns=("text", "label"))


def test_a_model_of_numbers_is_refused(root):
    with pytest.raises(ConfigError, match=r"'mlp' would take the tokens of 'train' for numbers"):
        Task.of(RunData.of(config(root, "model={name: mlp}")))


def test_plain_text_has_no_labels(tmp_path):
    (tmp_path / "x.txt").write_text("a\n")
    with pytest.raises(ConfigError, match=r"data.path: .*x.txt: expected a file of records"):
        labelled_text(0.0, 0, root=str(tmp_path), path="x.txt")


def test_an_empty_text_stays_a_row(tmp_path, caplog):
    table(tmp_path / "train.tsv", [("", 1), ("a", 0)] * 3)
    splits = labelled_text(0.0, 0, root=str(tmp_path), path="train.tsv", test_fraction=0.4)
    assert sum(map(len, splits.sets.values())) == 6
    assert "texts are empty or blank" in caplog.text


SMALL = "model={{name: {}, vocabulary: 259, padding_token: 0, width: 16}}"


def config(root, *words):
    return make_config(
        {},
        [
            "data={name: labelled_text, path: train.tsv, length: 16, batch_size: 4}",
            f"data.root={root}",
            *words,
        ],
    )


@pytest.mark.parametrize(
    "model",
    [
        "{name: lstm}",
        "{name: gru, vocabulary: 258, padding_token: 0}",
        "{name: encoder, vocabulary: 259, padding_token: 258}",
        "{name: lstm, vocabulary: 300}",
    ],
)
def test_a_model_that_does_not_know_the_tokens(root, model):
    said = r"tokens of 'train' are 0 to 258, of which 0 is padding, .*set model.vocabulary=259"
    with pytest.raises(ConfigError, match=said):
        Task.of(RunData.of(config(root, f"model={model}")))


@pytest.mark.parametrize("name", ["gru", "lstm", "encoder"])
def test_a_model_learns_them(root, tmp_path, name):
    words = [SMALL.format(name)]
    words += ["train.epochs=12", "optimizer.learning_rate=0.01", "hooks.console=null"]
    run = Experiment.of(config(root, *words), tmp_path / "run")
    run.train()
    assert run.trainer.state.metrics["train/accuracy"] > 0.9
