"""Columns side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data.tables import CategoryColumn, NumericColumn, TableEncoder, kind_of
from jaxtrain.errors import DataError

MARKS = ("?", "")
TABLE = "size,kind,day\n1,b,2024-01-01\n3,a,2024-01-03\n?,?,\n"


def fit(table, rows=None):
    kinds = {name: kind_of(table, name, missing=MARKS) for name in table.columns}
    rows = np.arange(len(table)) if rows is None else np.array(rows)
    return TableEncoder.fit(table, rows, kinds=kinds, missing=MARKS)


def test_columns_stand_in_their_order(read):
    table = read("size,kind\n1,b\n3,a\n")
    encoder = fit(table)
    assert encoder.feature_names == ("size", "kind=a", "kind=b", "kind=?")
    assert encoder.texts == ("kind",)
    features = encoder.encode(table, {"all": np.arange(2)}, missing=MARKS)["all"]
    assert features.dtype == np.float32
    assert features.tolist() == [[-1, 0, 1, 0], [1, 1, 0, 0]]


@pytest.mark.usefixtures("small_blocks")
def test_parts_have_their_rows_in_order_wherever_blocks_end(read):
    table = read("x,c\n" + "".join(f"{number},{'abc'[number % 3]}\n" for number in range(300)))
    parts = {"odd": np.arange(1, 300, 2), "late": np.arange(290, 300), "none": np.arange(0)}
    encoder = fit(table)
    assert len(table.blocks) > 5
    found = encoder.encode(table, parts, missing=MARKS)
    x = encoder.columns[0]
    for name, rows in parts.items():
        np.testing.assert_allclose(found[name][:, 0] * x.deviation + x.mean, rows, rtol=1e-5)
        np.testing.assert_array_equal(found[name][:, 1:4].argmax(axis=1), rows % 3)


def test_a_column_without_a_number_in_the_training_rows_is_a_category(read):
    encoder = fit(read("a,b\n?,1\n5,2\n"), rows=[0])
    assert encoder.columns[0] == CategoryColumn(name="a", categories=())
    assert isinstance(encoder.columns[1], NumericColumn)


def test_there_and_back_to_the_bit(read):
    encoder = fit(read(TABLE))
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    rows = {"all": np.arange(3)}
    before = encoder.encode(read(TABLE, text=encoder.texts), rows, missing=MARKS)["all"]
    after = again.encode(read(TABLE, text=again.texts), rows, missing=MARKS)["all"]
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize(
    "record",
    [None, {}, [], "x", [None], [{}], [{"kind": []}], [{"kind": "bytes"}], [{"kind": "number"}]],
)
def test_what_is_no_encoder_is_refused(record):
    with pytest.raises(DataError, match="an encoder: "):
        TableEncoder.from_json(record)


def test_a_column_that_is_in_it_twice_is_refused():
    column = {"kind": "category", "name": "a", "categories": []}
    with pytest.raises(DataError, match="more than once"):
        TableEncoder.from_json([column, column])
