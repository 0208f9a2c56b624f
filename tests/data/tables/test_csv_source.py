"""The source "csv": files become the sets of a run."""

from __future__ import annotations

import json
import logging

import numpy as np
import pydantic
import pytest

from jaxtrain.data import SOURCES, check_dataset, csv_table
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

TRAIN = "id,size,kind,label\n" + "".join(
    f"{number},{number % 7},{'ab'[number % 2]},{'yes' if number % 3 else 'no'}\n"
    for number in range(20)
)
TEST = "id,size,kind,label\n100,3,b,yes.\n101,4,zebra,no.\n"
REGRESSION = {"target": "size", "task": "regression", "drop": ("id", "label"), "strip_target": ""}


@pytest.fixture
def load(tmp_path):
    def run(
        train=TRAIN,
        test=TEST,
        file="test.csv",
        validation_fraction=0.2,
        seed=0,
        fitted=None,
        **options,
    ):
        for name, content in (("train.csv", train), ("test.csv", test)):
            if content is not None:
                (tmp_path / name).write_text(content)
        options = {"target": "label", "drop": ("id",), "strip_target": "."} | options
        if test is not None:
            options["test"] = file
        return csv_table(
            validation_fraction, seed, fitted, root=str(tmp_path), train="train.csv", **options
        )

    return run


def fingerprints(splits):
    return {name: rows.fingerprint() for name, rows in splits.sets.items()}


def test_classification(load, tmp_path):
    splits = load()
    assert [len(part) for part in splits.sets.values()] == [16, 4, 2]
    assert splits.train.inputs.shape == (16, 4)  # size, kind=a, kind=b, kind=?
    assert splits.train.label_names == ("no", "yes")
    assert splits.train.num_outputs == 2
    assert splits.train.name == tmp_path.name
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.test.inputs[1, 1:].tolist() == [0, 0, 1]
    for part in splits.sets.values():
        assert all(finding.ok for finding in check_dataset(part))


def test_statistics_come_from_the_training_rows_alone(load):
    splits = load()
    assert splits.train.inputs[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert splits.train.inputs[:, 0].std() == pytest.approx(1, abs=1e-6)
    assert abs(splits.validation.inputs[:, 0].mean()) > 1e-3


def test_a_category_seen_only_in_validation_is_unknown(load):
    rows = TRAIN.replace(",a,", ",c,", 1)
    for seed in range(30):
        splits = load(train=rows, seed=seed)
        if splits.train.inputs.shape[1] == 4:  # "c" is not among the training rows
            assert splits.validation.inputs[:, -1].sum() == 1
            return
    pytest.fail("no seed put the row in the validation set")


def test_no_validation(load):
    splits = load(validation_fraction=0.0)
    assert splits.validation is None
    assert len(splits.train) == 20


def test_a_regression_learns_standardised_targets(load):
    """Seen (C10): the loss was the raw square after 30 epochs, and nothing was learnt."""
    splits = load(**REGRESSION)
    labels = splits.train.labels
    assert labels.dtype == np.float32
    assert labels.mean() == pytest.approx(0, abs=1e-6)
    assert labels.std() == pytest.approx(1, abs=1e-6)
    assert splits.target_scale.in_unit(splits.test.labels).tolist() == pytest.approx([3, 4])
    assert (splits.train.num_outputs, splits.train.task) == (1, "regression")


def test_a_regression_in_the_unit_of_the_data_where_somebody_wants_it(load):
    splits = load(**REGRESSION, standardise_target=False)
    assert splits.target_scale is None
    assert splits.test.labels.tolist() == [3, 4]
    with pytest.raises(DataError, match=r"test\.csv:3: column 'size': .* found 'x'"):
        load(test=TEST.replace("101,4", "101,x"), **REGRESSION)
    with pytest.raises(ConfigError, match="only the targets of a regression"):
        load(standardise_target=True)


def test_a_label_the_training_file_does_not_know(load):
    with pytest.raises(DataError, match=r"test\.csv:2: .* 2 classes \(no, yes\), found 'yes\.'"):
        load(strip_target="")


def test_classes_given_are_the_only_ones_and_keep_their_order(load):
    splits = load(classes=("yes", "no"))
    assert splits.train.label_names == ("yes", "no")
    assert splits.test.labels.tolist() == [0, 1]
    with pytest.raises(DataError, match=r"train\.csv:3: .* 2 classes \(no, maybe\), found 'yes'"):
        load(classes=("no", "maybe"))
    with pytest.raises(ConfigError, match="a regression has none"):
        load(**REGRESSION, classes=("1", "2"))


def test_a_class_that_is_named_twice_is_refused(load):
    """Seen (C13): `classes: [a, a, b]` made a class that no row could have."""
    with pytest.raises(ConfigError, match=r"data\.classes: named more than once: no"):
        load(classes=("no", "no", "yes"))


def test_a_missing_label(load):
    with pytest.raises(DataError, match=r"test\.csv:3: .* is missing \('\?'\).* in 1 of 2"):
        load(test=TEST.replace("no.", "?"))


def test_rows_without_a_target_are_left_out_where_somebody_says_so(load, caplog):
    """Seen: a newcomer had to delete them from the file by hand."""
    caplog.set_level(logging.INFO, "jaxtrain")
    train = TRAIN.replace(",yes\n", ",\n", 3)
    with pytest.raises(DataError, match=r"in 3 of 20 rows; set data\.unlabelled=drop"):
        load(train=train)
    splits = load(train=train, unlabelled="drop")
    assert len(splits.train) + len(splits.validation) == 17
    assert "left out 3 of 20 rows, which have no target" in caplog.text
    with pytest.raises(DataError, match="no row has a target"):
        load(train="size,label\n1,?\n2,?\n", drop=(), unlabelled="drop")
    regression = load(test=TEST.replace("101,4", "101,"), unlabelled="drop", **REGRESSION)
    assert len(regression.test) == 1


def test_one_file_is_enough(load):
    """Seen: one had to split the file oneself."""
    splits = load(test=None, test_fraction=0.3)
    assert {name: len(rows) for name, rows in splits.sets.items()} == {
        "train": 11,
        "validation": 3,
        "test": 6,
    }
    assert np.bincount(splits.test.labels).tolist() == [2, 4]  # a third and two thirds, as in all
    again = load(test=None, test_fraction=0.3, seed=1)
    assert again.test.labels.tobytes() == splits.test.labels.tobytes()  # the same rows
    assert again.train.fingerprint() != splits.train.fingerprint()
    other = load(test=None, test_fraction=0.3, split_seed=1)
    assert other.test.fingerprint() != splits.test.fingerprint()
    for split_seed in range(8):  # of each class its share, whichever rows they are
        drawn = load(test=None, test_fraction=0.3, split_seed=split_seed)
        assert np.bincount(drawn.test.labels).tolist() == [2, 4]


def test_a_column_may_say_which_rows_are_for_what(load):
    rows = TRAIN.splitlines()
    parts = ["train", "train", "Valid", "test"]
    text = "\n".join([f"{rows[0]},fold", *(f"{r},{parts[n % 4]}" for n, r in enumerate(rows[1:]))])
    splits = load(train=text, test=None, split="fold")
    assert {name: len(part) for name, part in splits.sets.items()} == {
        "train": 10,
        "validation": 5,
        "test": 5,
    }
    assert splits.train.inputs.shape[1] == 4  # and is no feature
    held = load(train=text.replace("Valid", "train"), test=None, split="fold")
    assert (len(held.train), len(held.validation)) == (12, 3)  # a fifth of 15
    with pytest.raises(ConfigError, match=r"data\.split: a column says"):
        load(train=text, split="fold")
    with pytest.raises(ConfigError, match="is the target"):
        load(test=None, split="label")


def test_a_row_without_a_target_is_in_no_part_though_a_column_names_one(load):
    rows = TRAIN.splitlines()
    text = "\n".join(
        [
            f"{rows[0]},fold",
            *(f"{r},{'train' if n % 4 else 'test'}" for n, r in enumerate(rows[1:])),
        ]
    )
    text = text.replace("0,0,a,no,test", "0,0,a,,test").replace("1,1,b,yes,train", "1,1,b,,train")
    splits = load(train=text, test=None, split="fold", missing=("",), unlabelled="drop")
    assert sum(map(len, splits.sets.values())) == 18
    assert len(splits.test) == 4


def test_a_validation_file(load, tmp_path):
    (tmp_path / "val.csv").write_text(TEST.replace("101", "102"))
    splits = load(validation="val.csv")
    assert [len(part) for part in splits.sets.values()] == [20, 2, 2]
    assert splits.validation.labels.tolist() == [1, 0]


@pytest.mark.parametrize("way", ["relative", "absolute"])
def test_files_may_be_named_by_paths(load, tmp_path, way):
    """Seen (C15): a traceback for any slash in a file's name."""
    (tmp_path / "fold1").mkdir()
    for name, content in (("train", TRAIN), ("test", TEST)):
        (tmp_path / "fold1" / f"{name}.csv").write_text(content)
    below = "fold1" if way == "relative" else str(tmp_path / "fold1")
    options = {"target": "label", "strip_target": "."}
    splits = csv_table(
        0.2, 0, root=str(tmp_path), train=f"{below}/train.csv", test=f"{below}/test.csv", **options
    )
    assert len(splits.test) == 2
    with pytest.raises(DataNotFoundError, match=r"fold1/no\.csv .*for no\.csv or no\.csv\.gz"):
        csv_table(0.2, 0, root=str(tmp_path), train=f"{below}/no.csv", **options)


def test_one_file_to_learn_and_to_be_measured_by_is_told(load, caplog):
    """Seen (C11): no word of it."""
    load(strip_target="", file="train.csv")
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "data.train and data.test are one file" in record.getMessage()
    caplog.clear()
    load()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_other_columns_in_the_test_file(load, caplog):
    with pytest.raises(DataError, match=r"test\.csv: expected the columns of .* found no kind"):
        load(test=TEST.replace("kind", "sort"))
    reordered = load(test="label,kind,size\nyes.,b,3\nno.,zebra,4\n")
    assert reordered.test.fingerprint() == load().test.fingerprint()


@pytest.mark.parametrize("role", ["target", "drop", "categorical", "dates", "split"])
def test_unknown_columns(load, role):
    with pytest.raises(ConfigError, match="no column 'sise'; did you mean 'size'"):
        load(test=None, **{role: "sise" if role in ("target", "split") else ("sise",)})


def test_a_column_has_one_role(load):
    for options in ({"drop": ("size",), "dates": ("size",)}, {"categorical": ("label",)}):
        with pytest.raises(ConfigError, match="a column has one role"):
            load(**options)


def test_no_features_left(load):
    with pytest.raises(DataError, match="no column is left"):
        load(drop=("id", "size", "kind"))


def test_codes_are_categories_when_told_so(load):
    assert load(categorical=("size",)).train.inputs.shape == (16, 7 + 1 + 3)


def test_what_is_not_plain_has_to_be_declared(load):
    rows = TRAIN.splitlines()
    dated = "\n".join(
        [f"{rows[0]},day", *(f"{r},2024-01-{n:02}" for n, r in enumerate(rows[1:], 1))]
    )
    with pytest.raises(ConfigError, match=r"column 'day': .*data\.dates"):
        load(train=dated, test=None, strip_target="")
    splits = load(train=dated, test=None, strip_target="", dates=("day",))
    assert splits.train.inputs.shape[1] == 4 + 5


def test_a_cell_of_the_test_file_that_float32_does_not_hold(load):
    """Seen (C25): no file, no line."""
    with pytest.raises(DataError, match=r"test\.csv:3: column 'size': 1e\+39 is too large"):
        load(test=TEST.replace("101,4", "101,1e39"))


def test_semicolons_decimal_commas_and_codepages(load, tmp_path):
    text = TRAIN.replace(",", ";").replace("yes", "예").replace("no", "아니요")
    (tmp_path / "train.csv").write_bytes(text.encode("cp949"))
    with pytest.raises(DataError, match=r'data\.encoding="cp949"'):
        load(train=None, test=None)
    with pytest.raises(ConfigError, match=r'set data\.delimiter=";"'):
        load(train=None, test=None, encoding="cp949")
    splits = load(train=None, test=None, encoding="cp949", delimiter=";")
    assert splits.train.label_names == ("아니요", "예")


def test_what_was_fitted_needs_no_training_file(load, tmp_path):
    """Seen (C2): without train.csv nothing could be evaluated; rows added to it moved the test."""
    splits = load()
    state = json.loads(json.dumps(dict(splits.reader.state())))
    (tmp_path / "train.csv").write_text(TRAIN + "200,1000,c,no\n")
    again = load(train=None, fitted=state)
    assert again.test.fingerprint() == splits.test.fingerprint()
    assert len(again.train) == 17
    (tmp_path / "train.csv").unlink()
    gone = load(train=None, fitted=state)
    assert gone.train is None
    assert fingerprints(gone) == {"test": splits.test.fingerprint()}
    with pytest.raises(DataNotFoundError):
        load(train=None)
    with pytest.raises(DataNotFoundError):
        load(train=None, fitted=state, test=None)


def test_what_was_fitted_gives_the_same_rows_again(load):
    for options in ({}, REGRESSION, {"test": None, "strip_target": ""}):
        splits = load(**options)
        again = load(fitted=json.loads(json.dumps(dict(splits.reader.state()))), **options)
        assert fingerprints(again) == fingerprints(splits)
        assert again.target_scale == splits.target_scale


def test_dropped_identifiers_are_remembered(load):
    assert load().reader.fitted.ids == ("id",)
    assert load(drop=("size",)).reader.fitted.ids == ()


def test_missing_file(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"a\.csv\.gz in .*set data\.root to"):
        csv_table(0.1, 0, root=str(tmp_path), train="a.csv", target="y")


def test_its_options_are_a_config():
    fields = SOURCES.schema("csv", pydantic.create_model("Section", name="csv")).model_fields
    assert fields["root"].default == "."
    assert fields["train"].is_required()
    assert fields["unlabelled"].default == "refuse"


def test_a_class_keeps_a_row_to_learn_from(tmp_path):
    """Validation took the last training rows of a rare class, and nothing was said."""
    rows = "".join(f"{n},{'rare' if n < 2 else 'ab'[n % 2]}\n" for n in range(60))
    (tmp_path / "t.csv").write_text("x,label\n" + rows)
    for seed in range(12):
        splits = csv_table(0.2, seed, root=str(tmp_path), train="t.csv", target="label")
        counts = np.bincount(splits.train.labels, minlength=3)
        assert counts.min() > 0, seed
        assert len(splits.validation) > 0


def test_features_that_take_more_than_the_memory_are_refused(tmp_path, monkeypatch):
    """A CSV of half a megabyte made 368 MB of arrays: each code a column."""
    rows = "".join(f"c{n % 500},{n % 2}\n" for n in range(2000))
    (tmp_path / "t.csv").write_text("code,label\n" + rows)
    monkeypatch.setattr("jaxtrain.data.memory.machine_memory", lambda: 2**20)
    with pytest.raises(ConfigError, match=r"2,000 rows of 4\d\d features.*fewer categories"):
        csv_table(0.2, 0, root=str(tmp_path), train="t.csv", target="label")
