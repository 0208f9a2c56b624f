"""The census."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data import READERS, adult, check_dataset
from jaxtrain.errors import DataError, DataNotFoundError

ROW = "39, State-gov, 7, Bachelors, 13, Never-married, Sales, Wife, White, Male, 0, 0, 40, Cuba"


@pytest.fixture
def write_adult(tmp_path):
    def write(train=("<=50K", ">50K", "<=50K"), test=("<=50K.", ">50K."), before=""):
        for name, labels, first in (("data", train, ""), ("test", test, before)):
            rows = "".join(f"{ROW}, {label}\n" for label in labels)
            (tmp_path / f"adult.{name}").write_text(first + rows)
        return str(tmp_path)

    return write


def test_two_labels_in_both_files(write_adult):
    assert adult(0.0, 0, root=write_adult()).test.labels.tolist() == [0, 1]
    with pytest.raises(DataError, match=r"adult\.test:2: column 'income': .*<=50K, >50K.* '50K'"):
        adult(0.0, 0, root=write_adult(test=("<=50K.", "50K.")))
    with pytest.raises(DataError, match=r"adult\.data:3: column 'income': .* found 'rich'"):
        adult(0.0, 0, root=write_adult(train=("<=50K", ">50K", "rich", "<=50K")))


def test_uci_begins_its_test_file_with_another_line(write_adult):
    root = write_adult(before="|1x3 Cross validator\n")
    assert adult(0.0, 0, root=root).test.labels.tolist() == [0, 1]


def test_new_people_have_no_income(write_adult, tmp_path):
    splits = adult(0.0, 0, root=write_adult())
    reader = READERS["adult"](json.loads(json.dumps(dict(splits.reader.state()))))
    (tmp_path / "new.csv").write_text(f"{ROW}\n{ROW}\n")
    rows = reader.read(tmp_path / "new.csv")
    assert rows.labels is None
    np.testing.assert_array_equal(rows.inputs[0], splits.train.inputs[0])


def test_missing_file(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"adult\.data\.gz in .*set data\.root to"):
        adult(0.1, 0, root=str(tmp_path))


def test_the_arrays_are_those_of_888f0db(shared_data):
    """A run that was begun then goes on: data are known by their fingerprint."""
    splits = adult(0.1, 0, root=str(shared_data / "adult"))
    assert {name: rows.fingerprint()[:16] for name, rows in splits.sets.items()} == {
        "train": "b7dfb24df09386f1",
        "validation": "8411772fadb1a28e",
        "test": "1b31e2d6e7506218",
    }
    assert splits.train.label_names == ("<=50K", ">50K")
    assert np.bincount(splits.test.labels).tolist() == [12_435, 3_846]
    labels = np.concatenate([splits.train.labels, splits.validation.labels])
    assert np.bincount(labels).tolist() == [24_720, 7_841]
    for part in splits.sets.values():
        assert all(finding.ok for finding in check_dataset(part))
