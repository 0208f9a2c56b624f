"""New files, read as the training rows were."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from jaxtrain.data import READERS, Reader, csv_table
from jaxtrain.data.tables import csv_reader
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError

TRAIN = "id,size,kind,label\n" + "".join(
    f"c{number},{number % 7},{'ab'[number % 2]},{'yes' if number % 3 else 'no'}\n"
    for number in range(20)
)


@pytest.fixture
def splits(write):
    path = write(TRAIN, "train.csv")
    return csv_table(0.2, 0, root=str(path.parent), train="train.csv", target="label", drop=("id",))


@pytest.fixture
def reader(splits):
    return csv_reader(json.loads(json.dumps(dict(splits.reader.state()))))


def test_it_is_a_reader_and_registered_under_the_name_of_its_source(reader):
    assert isinstance(reader, Reader)
    assert READERS["csv"] is csv_reader


def test_the_training_file_itself(splits, reader, write):
    rows = reader.read(write(TRAIN))
    everything = np.concatenate([part.inputs for part in splits.sets.values()])
    assert sorted(map(tuple, rows.inputs)) == sorted(map(tuple, everything))
    assert rows.known is None
    assert rows.labels.tolist() == [int(number % 3 > 0) for number in range(20)]
    assert rows.ids == {"row": list(range(1, 21)), "id": [f"c{number}" for number in range(20)]}


def test_order_and_other_columns_are_free_and_the_target_may_be_gone(reader, write, caplog):
    caplog.set_level(logging.INFO, "jaxtrain")
    right = reader.read(write("size,kind\n3,a\n4,b\n"))
    assert right.labels is None
    assert list(right.ids) == ["row"]
    other = reader.read(write("kind,note,size\na,x,3\nb,y,4\n"))
    np.testing.assert_array_equal(other.inputs, right.inputs)
    assert "columns that are not used: note" in caplog.text


def test_some_rows_may_have_no_target(reader, write):
    rows = reader.read(write("size,kind,label\n3,a,yes\n4,b,\n5,a,no\n"))
    assert rows.known.tolist() == [True, False, True]
    assert rows.labels.tolist() == [1, 0, 0]
    rows = reader.read(write("size,kind,label\n3,a,\n4,b,?\n"))
    assert (rows.labels, rows.known) == (None, None)


def test_a_class_that_training_has_not_seen_is_told(reader, write, caplog):
    rows = reader.read(write("size,kind,label\n3,a,yes\n4,b,maybe\n"))
    assert rows.known.tolist() == [True, False]
    assert "1 rows have a target that is none of the classes, such as 'maybe'" in caplog.text


def test_rows_are_counted_as_in_the_file(reader, write):
    assert reader.read(write("size,kind\n3,a\n\n,\n4,b\n")).ids["row"] == [1, 3]


def test_columns_that_lack_are_named(reader, write):
    with pytest.raises(ConfigError, match=r"lacks the columns size, kind; it has sise$"):
        reader.read(write("sise\n3\n"))
    with pytest.raises(ConfigError, match=r"lacks the columns kind; .*; did you mean 'kinds'"):
        reader.read(write("size,kinds\n3,a\n"))


def test_a_file_that_is_written_otherwise(reader, splits, write):
    path = write("size;kind\n3;a\n")
    with pytest.raises(ConfigError, match=r'written otherwise: set data\.delimiter=";"'):
        reader.read(path)
    other = csv_reader(splits.reader.state(), delimiter=";")
    np.testing.assert_array_equal(
        other.read(path).inputs, reader.read(write("size,kind\n3,a\n")).inputs
    )


def test_a_cell_that_can_not_be_read_has_a_place(reader, write):
    with pytest.raises(DataError, match=r"t\.csv:3: column 'size': .* found 'NA'"):
        reader.read(write("size,kind\n3,a\nNA,b\n"))


def test_no_such_file(reader, tmp_path):
    with pytest.raises(DataNotFoundError, match="name a CSV file"):
        reader.read(tmp_path / "no.csv")


def test_a_regression_gives_labels_on_the_scale_of_training(write):
    path = write(TRAIN, "train.csv")
    splits = csv_table(
        0.0,
        0,
        root=str(path.parent),
        train="train.csv",
        target="size",
        task="regression",
        drop=("id",),
    )
    rows = splits.reader.read(write("size,kind,label\n3,a,yes\n,b,no\n"))
    assert rows.known.tolist() == [True, False]
    assert splits.target_scale.in_unit(rows.labels)[0] == pytest.approx(3)


def test_cells_that_training_never_saw_are_told_of(reader, write, caplog):
    """They were encoded as unknown, or as the mean, without a word: a whole column at once."""
    caplog.set_level(logging.WARNING, "jaxtrain")
    reader.read(write("size,kind\n3,a\n4,b\n"))
    assert caplog.text == ""
    reader.read(write("size,kind\n3,zebra\n,b\n5,?\n"))
    assert "column 'kind': 1 of 3 cells are none of the categories" in caplog.text
    assert "such as 'zebra'" in caplog.text
    assert "column 'size': 1 of 3 cells are missing, which none of the training rows was" in (
        caplog.text
    )


def test_a_target_that_is_no_number_does_not_keep_rows_from_being_predicted(write, caplog):
    text = "x,y\n" + "".join(f"{n},{3 * n}\n" for n in range(20))
    path = write(text, "train.csv")
    splits = csv_table(
        0.2, 0, root=str(path.parent), train="train.csv", target="y", task="regression"
    )
    rows = splits.reader.read(write("x,y\n1,unknown\n2,6\n"))
    assert len(rows) == 2
    assert rows.labels is None
    assert "the rows count as rows without a target" in caplog.text


def test_an_identifier_called_row_does_not_take_the_place_of_the_number(write):
    text = TRAIN.replace("id,", "row,", 1)
    path = write(text, "train.csv")
    told = {"root": str(path.parent), "train": "train.csv", "target": "label", "drop": ("row",)}
    reader = csv_table(0.2, 0, **told).reader
    ids = reader.read(write("row,size,kind\nc7,3,a\nc9,4,b\n")).ids
    assert ids == {"row": [1, 2], "input row": ["c7", "c9"]}
