import numpy as np
import pytest

from jaxtrain.data import adult, check_dataset, csv_table
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

TRAIN = "id,size,kind,label\n" + "".join(
    f"{number},{number % 7},{'ab'[number % 2]},{'yes' if number % 3 else 'no'}\n"
    for number in range(20)
)
TEST = "id,size,kind,label\n100,3,b,yes.\n101,4,zebra,no.\n"


@pytest.fixture
def load(tmp_path):
    def run(train=TRAIN, test=TEST, validation_fraction=0.2, seed=0, **options):
        (tmp_path / "train.csv").write_text(train)
        (tmp_path / "test.csv").write_text(test)
        options = {"target": "label", "drop": ("id",), "strip_target": "."} | options
        return csv_table(
            validation_fraction,
            seed,
            root=str(tmp_path),
            train="train.csv",
            test="test.csv",
            **options,
        )

    return run


def test_classification(load, tmp_path):
    splits = load()
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [16, 4, 2]
    assert splits.train.inputs.shape == (16, 4)  # size, kind=a, kind=b, kind=?
    assert splits.train.label_names == ("no", "yes")
    assert splits.train.num_outputs == 2
    assert splits.train.name == tmp_path.name
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.test.inputs[1, 1:].tolist() == [0, 0, 1]
    for part in (splits.train, splits.validation, splits.test):
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


def test_regression(load):
    splits = load(target="size", task="regression", drop=("id", "label"), strip_target="")
    assert splits.train.labels.dtype == np.float32
    assert splits.test.labels.tolist() == [3, 4]
    assert (splits.train.num_outputs, splits.train.task) == (1, "regression")
    with pytest.raises(DataError, match=r"test\.csv:3: column 'size': .* found 'x'"):
        load(
            test=TEST.replace("101,4", "101,x"),
            target="size",
            task="regression",
            drop=("id", "label"),
            strip_target="",
        )


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
        load(target="size", task="regression", drop=("id", "label"), classes=("1", "2"))


def test_adult_has_two_labels_in_both_files(tmp_path):
    row = (
        "39, State-gov, 7, Bachelors, 13, Never-married, Sales, Wife, White, Male, 0, 0, 40, Cuba, "
    )

    def write(name, *labels):
        (tmp_path / name).write_text("".join(f"{row}{label}\n" for label in labels))

    write("adult.data", "<=50K", ">50K", "<=50K")
    write("adult.test", "<=50K.", ">50K.")
    assert adult(0.0, 0, root=str(tmp_path)).test.labels.tolist() == [0, 1]
    write("adult.test", "<=50K.", "50K.")
    with pytest.raises(DataError, match=r"adult\.test:2: column 'income': .*<=50K, >50K.* '50K'"):
        adult(0.0, 0, root=str(tmp_path))
    write("adult.data", "<=50K", ">50K", "rich", "<=50K")
    with pytest.raises(DataError, match=r"adult\.data:3: column 'income': .* found 'rich'"):
        adult(0.0, 0, root=str(tmp_path))


def test_adult_as_uci_has_it_begins_its_test_file_with_another_line(tmp_path):
    row = "39, Private, 7, HS, 9, Divorced, Sales, Wife, White, Male, 0, 0, 40, Cuba, "
    (tmp_path / "adult.data").write_text(f"{row}<=50K\n{row}>50K\n")
    (tmp_path / "adult.test").write_text(f"|1x3 Cross validator\n{row}<=50K.\n{row}>50K.\n\n")
    assert adult(0.0, 0, root=str(tmp_path)).test.labels.tolist() == [0, 1]
    (tmp_path / "adult.test").write_text(f"{row}<=50K.\n|1x3 Cross validator\n{row}>50K.\n")
    with pytest.raises(DataError, match=r"adult\.test:2: expected 15 cells"):  # no row else
        adult(0.0, 0, root=str(tmp_path))


def test_a_missing_label(load):
    with pytest.raises(DataError, match=r"test\.csv:3: .* the target is missing \('\?'\)"):
        load(test=TEST.replace("no.", "?"))


def test_other_columns_in_the_test_file(load):
    with pytest.raises(DataError, match="expected the columns of"):
        load(test=TEST.replace("kind", "sort"))


@pytest.mark.parametrize(
    "option", [{"target": "labl"}, {"drop": ("idd",)}, {"categorical": ("k",)}]
)
def test_unknown_columns(load, option):
    with pytest.raises(ConfigError, match="no column"):
        load(**option)


def test_no_features_left(load):
    with pytest.raises(DataError, match="no column is left"):
        load(drop=("id", "size", "kind"))


def test_missing_file(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"adult\.data\.gz in .*set root to"):
        adult(0.1, 0, root=str(tmp_path))


def test_adult(shared_data):
    splits = adult(0.1, 0, root=str(shared_data / "adult"))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [
        29_305,
        3_256,
        16_281,
    ]
    assert splits.train.label_names == ("<=50K", ">50K")
    assert np.bincount(splits.test.labels).tolist() == [12_435, 3_846]
    labels = np.concatenate([splits.train.labels, splits.validation.labels])
    assert np.bincount(labels).tolist() == [24_720, 7_841]
    for part in (splits.train, splits.validation, splits.test):
        assert all(finding.ok for finding in check_dataset(part))
        assert part.inputs.shape[1] == splits.train.inputs.shape[1]
