"""Columns of categories."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.tables import CategoryColumn
from jaxtrain.data.tables.encoder import TableEncoder
from jaxtrain.errors import DataError


def encode(column, table, missing=("?", "")):
    rows = np.arange(len(table))
    return TableEncoder((column,)).encode(table, {"all": rows}, missing=missing)["all"].tolist()


def fit(table, rows=None):
    rows = np.arange(len(table)) if rows is None else np.array(rows)
    return CategoryColumn.fit(table, "a", rows, missing=("?", ""))


def test_one_hot_with_a_place_for_what_is_missing_or_new(read):
    column = fit(read("a\nb\na\n?\n"))
    assert column.categories == ("a", "b")
    assert column.feature_names == ("a=a", "a=b", "a=?")
    assert encode(column, read("a\na\nb\nzebra\n?\n")) == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0, 0, 1],
    ]


def test_only_the_rows_that_are_asked_for(read):
    assert fit(read("a\nb\na\nc\n"), [0, 2]).categories == ("b", "c")


def test_a_mark_is_missing_though_training_took_it_for_a_category(read):
    column = CategoryColumn(name="a", categories=("NA", "b"))
    assert encode(column, read("a\nNA\nb\n"), missing=("NA",)) == [[0, 0, 1], [0, 1, 0]]


def test_codes(read):
    assert fit(read("a\n7\n12\n", text=("a",))).categories == ("12", "7")


def test_a_column_without_any_value(read):
    table = read("a,b\n?,1\n?,2\n")
    assert fit(table) == CategoryColumn(name="a", categories=())
    assert encode(fit(table), table) == [[1], [1]]


def test_too_many(read):
    cells = "\n".join(f"person {number}" for number in range(1001))
    with pytest.raises(DataError, match=r"'a' has 1,001 different values.*data\.drop"):
        fit(read(f"a\n{cells}\n"))
    assert len(fit(read(f"a\n{cells}\n"), range(1000)).categories) == 1000


def test_there_and_back(read):
    column = fit(read("a\n서울\nb\n"))
    assert CategoryColumn.from_json(column.to_json()) == column


@pytest.mark.parametrize(
    "categories", [None, "ab", ["a", 1], ["a", "a"], {}, [str(n) for n in range(1001)]]
)
def test_what_is_no_column_is_refused(categories):
    with pytest.raises(DataError, match="categories: expected different texts"):
        CategoryColumn.from_json({"name": "a", "categories": categories})
