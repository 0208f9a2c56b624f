import dataclasses
import re
from typing import ClassVar

import numpy as np
import pytest

from jaxtrain.data import SOURCES, Dataset, Splits, digits
from jaxtrain.data.mixture_source import MixedRows, _whole, mixture, section_of
from jaxtrain.data.target_scale import TargetScale
from jaxtrain.errors import ConfigError
from jaxtrain.run import Task, make_config
from jaxtrain.run.data import RunData, read_splits

DIGITS = {"name": "digits", "split_seed": 1}
OTHERS = {"name": "digits", "split_seed": 2}


def config(parts, share=0.25, **data):
    section = {"name": "mixture", "share": share, "parts": parts, "batch_size": 64, **data}
    return make_config({"data": section, "seed": 5})


def rows_of(array):
    return {row.tobytes() for row in array}


def test_all_rows_of_the_first_and_some_of_the_others_in_the_share_that_was_asked_for():
    made = read_splits(config({"own": DIGITS, "a": OTHERS, "b": {"name": "digits"}}, share=0.4))
    own, other = (
        SOURCES.build(read_splits_config(part), validation_fraction=0.1, seed=5)
        for part in (DIGITS, OTHERS)
    )
    count = len(own.train)
    assert len(made.train) == pytest.approx(count / 0.6, abs=2)
    inputs = made.train.arrays["inputs"]
    assert np.array_equal(inputs[:count], own.train.inputs)
    each = (len(made.train) - count) // 2
    assert rows_of(inputs[count : count + each]) <= rows_of(other.train.inputs)
    # What is judged is the first part alone, its rows being the same without the others.
    assert np.array_equal(made.test.inputs, own.test.inputs)
    assert np.array_equal(made.validation.inputs, own.validation.inputs)


def read_splits_config(part):
    return make_config({"data": part}).data


def test_the_rows_are_drawn_by_seed_and_the_fingerprint_tells():
    parts = {"own": DIGITS, "a": OTHERS}
    tree = {"data": {"name": "mixture", "share": 0.2, "parts": parts}}
    prints = [
        RunData.of(make_config({**tree, "seed": seed})).fingerprints()["train"]
        for seed in (1, 1, 2)
    ]
    assert prints[0] == prints[1] != prints[2]


def test_its_classes_are_counted_for_balanced_weights():
    data = RunData.of(config({"own": DIGITS, "a": OTHERS}, share=0.4))
    labels = data.splits.train.arrays["labels"]
    assert data.class_counts() == tuple(np.bincount(labels, minlength=10))
    weighted = make_config(
        {
            "data": {"name": "mixture", "share": 0.4, "parts": {"own": DIGITS, "a": OTHERS}},
            "loss": {"class_weights": "balanced"},
        }
    )
    assert Task.of(RunData.of(weighted)).loss is not None


class Foreign:
    """Rows of somebody who calls the labels otherwise."""

    name, task, num_outputs, label_names = "foreign", "classification", 2, ()
    arrays: ClassVar = {"inputs": np.zeros((4, 3)), "kinds": np.array([0, 1, 1, 1])}

    def __len__(self):
        return 4


def test_of_rows_without_labels_no_classes_are_counted():
    data = RunData.of(config({"own": DIGITS, "a": OTHERS}))
    mixed = MixedRows(Foreign(), ((Foreign(), np.arange(2)),))
    data = dataclasses.replace(data, splits=dataclasses.replace(data.splits, train=mixed))
    assert data.class_counts() is None


def test_lists_and_whole_numbers_are_taken_as_in_any_section():
    section = section_of("a", {"name": "csv", "train": "x.csv", "target": "y", "drop": ["z"]})
    assert section.drop == ("z",)
    assert section_of("a", {**DIGITS, "split_seed": 2.0}).split_seed == 2


def test_where_the_others_have_no_more_all_of_theirs_are_taken():
    made = read_splits(config({"own": DIGITS, "a": OTHERS}, share=0.9))
    other = read_splits(make_config({"data": OTHERS, "seed": 5}))
    own = read_splits(make_config({"data": DIGITS, "seed": 5}))
    assert len(made.train) == len(own.train) + len(other.train)


def test_without_a_share_all_rows_of_all_parts_count_in_all_three_sets():
    made = read_splits(config({"own": DIGITS, "a": OTHERS, "b": DIGITS}, share=None))
    own, other = (read_splits(make_config({"data": part, "seed": 5})) for part in (DIGITS, OTHERS))
    for name in ("train", "validation", "test"):
        whole = [splits.sets[name].inputs for splits in (own, other, own)]
        assert np.array_equal(made.sets[name].arrays["inputs"], np.concatenate(whole))
    assert RunData.of(config({"own": DIGITS, "a": OTHERS}, share=None)).eval_loader("test")


def test_sets_that_only_some_parts_have():
    """Validation rows are those that there are; without one of its files it is no training set."""
    splits = [read_splits(make_config({"data": part})) for part in (DIGITS, OTHERS)]
    first, second = splits
    without = dataclasses.replace(first, validation=None)
    made = _whole(without, [second])
    assert np.array_equal(made.validation.arrays["inputs"], second.validation.inputs)
    assert _whole(without, [dataclasses.replace(second, validation=None)]).validation is None
    for gone in (
        [dataclasses.replace(first, train=None), second],
        [first, dataclasses.replace(second, train=None)],
    ):
        made = _whole(gone[0], gone[1:])
        assert made.train is None
        assert len(made.test) == len(first.test) + len(second.test)


def test_held_out_rows_of_another_form_are_refused_only_where_they_are_put_together(monkeypatch):
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))

    @SOURCES.register("tests_odd")
    def odd(validation_fraction: float, seed: int) -> Splits:
        flat, square = (digits(validation_fraction, seed, flat=flat) for flat in (True, False))
        return dataclasses.replace(flat, test=square.test)

    parts = {"own": DIGITS, "a": {"name": "tests_odd"}}
    assert len(read_splits(config(parts)).test) == 360
    with pytest.raises(ConfigError, match=r"data\.parts\.a: expected rows of"):
        read_splits(config(parts, share=None))


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"own": DIGITS}, "data.parts: expected two sources at least, found 1"),
        ({"own": DIGITS, "a": {"name": "digit"}}, "unknown data source 'digit'"),
        ({"own": DIGITS, "a": {"split_seed": 2}}, "data.parts.a: expected a section with the"),
        ({"own": DIGITS, "a": {**OTHERS, "speed": 2}}, "data.parts.a.speed"),
        ({"own": DIGITS, "a": {**OTHERS, "split_seed": "x"}}, "data.parts.a.split_seed"),
        ({"own": DIGITS, "a": {**OTHERS, "split_seed": "2"}}, "data.parts.a.split_seed"),
    ],
)
def test_what_is_wrong_with_a_part_is_told_when_the_config_is_checked(parts, says):
    with pytest.raises(ConfigError, match=says):
        config(parts)


def test_rows_of_another_form_or_read_otherwise_are_refused(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("abc " * 200)
    one = {"name": "text", "root": str(tmp_path), "path": "text.txt", "length": 16}
    for other, says in (
        (DIGITS, "is read in another way"),
        ({**one, "tokenizer": "characters"}, "another tokenizer"),
        ({**one, "length": 8}, "take the same length"),
    ):
        with pytest.raises(ConfigError, match=says):
            read_splits(config({"own": one, "a": other}))
    flat = {"name": "digits", "flat": False}
    with pytest.raises(ConfigError, match="expected rows of"):
        read_splits(config({"own": DIGITS, "a": flat}))


def labelled(label_names=(), scale=None, task="classification", labels=(0, 1, 1, 0)):
    """A source that has no reader, so that its labels say nothing but what they are called."""
    kind = np.int32 if task == "classification" else np.float32
    count = 2 if task == "classification" else 1
    inputs = np.arange(8, dtype=np.float32).reshape(4, 2)
    rows = Dataset(inputs, np.asarray(labels, kind), "rows", task, count, tuple(label_names))
    return Splits(train=rows, validation=None, test=rows, target_scale=scale)


@pytest.fixture
def mixed_of(monkeypatch):
    """The mixture of two sources that are made already."""

    def mixed(own, other):
        made = iter((own, other))
        monkeypatch.setattr(SOURCES, "build", lambda *_, **__: next(made))
        return mixture(0.1, 5, parts={"own": DIGITS, "a": OTHERS}, share=0.5)

    return mixed


@pytest.mark.parametrize("found", [("dog", "cat"), ("cat", "cow"), ()])
def test_a_label_means_the_same_class_in_all_parts(mixed_of, found):
    own = labelled(("cat", "dog"))
    assert len(mixed_of(own, labelled(("cat", "dog"))).train) == 8
    says = r"data\.parts\.a: expected the classes \['cat', 'dog'\], in this order, as own, found "
    with pytest.raises(ConfigError, match=says + re.escape(str(list(found)))):
        mixed_of(own, labelled(found))


def test_a_label_means_the_same_value_in_all_parts(mixed_of):
    scale = TargetScale((1.0,), (2.0,))
    own = labelled(scale=scale, task="regression")
    assert mixed_of(own, own).target_scale == scale
    for other, says in (
        (TargetScale((1.0,), (3.0,)), r"scale {.*2\.0.*} as own, found {.*3\.0"),
        (None, r"scale {.*} as own, found none; the same label would mean two values"),
    ):
        with pytest.raises(ConfigError, match=rf"data\.parts\.a: expected a target of the {says}"):
            mixed_of(own, labelled(scale=other, task="regression"))


def test_classes_are_named_where_the_readers_differ_too(tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("x,y\n" + "".join(f"{i}.5,{'ab'[i % 2]}\n" for i in range(40)))
    csv = {"name": "csv", "train": str(table), "target": "y"}
    parts = {"own": {**csv, "classes": ["a", "b"]}, "other": {**csv, "classes": ["b", "a"]}}
    with pytest.raises(ConfigError, match=r"data\.parts\.other: .*'a', 'b'.* as own.*'b', 'a'"):
        read_splits(config(parts))


def test_text_and_prompted_records_go_together(tmp_path):
    """Of which one has documents in its rows and the other is one."""
    (tmp_path / "text.txt").write_text("abc " * 200)
    text = {"name": "text", "root": str(tmp_path), "path": "text.txt", "length": 64}
    facts = {"name": "facts", "root": str(tmp_path), "length": 64, "count": 8}
    made = read_splits(config({"own": facts, "a": text}))
    arrays = made.train.arrays
    own = read_splits(make_config({"data": facts})).train
    assert np.array_equal(arrays["segments"][: len(own)], own.arrays["segments"])
    assert (arrays["segments"][len(own) :] == 1).all()
    assert arrays["positions"][-1].tolist() == list(range(64))
    assert arrays["mask"].shape == arrays["labels"].shape
    # A trained model is read back by the reader of the first part.
    from jaxtrain.data import READERS

    section = config({"own": facts, "a": text}).data
    reader = READERS.build(section, state=made.reader.state())
    assert reader.tokenizer.encode("ab") == made.reader.tokenizer.encode("ab")
