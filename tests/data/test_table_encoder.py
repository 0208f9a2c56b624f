from pathlib import Path

import numpy as np
import pytest

from jaxtrain.data import CategoryColumn, NumericColumn, Table, TableEncoder
from jaxtrain.errors import DataError


def table(**columns):
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return Table(Path("t.csv"), tuple(columns), rows, list(range(2, 2 + len(rows))))


def fit(subject, **options):
    return TableEncoder.fit(subject, features=subject.columns, **options)


def test_numbers_are_standardised_and_categories_one_hot():
    subject = table(size=["1", "3"], kind=["b", "a"])
    encoder = fit(subject)
    assert encoder.feature_names == ("size", "kind=a", "kind=b", "kind=?")
    features = encoder.transform(subject)
    assert features.dtype == np.float32
    assert features.tolist() == [[-1, 0, 1, 0], [1, 1, 0, 0]]


def test_other_rows_are_encoded_by_the_training_rows():
    encoder = fit(table(size=["1", "3"], kind=["b", "a"]))
    assert encoder.transform(table(size=["5"], kind=["new"])).tolist() == [[3, 0, 0, 1]]


def test_missing_cells():
    subject = table(size=["1", "?", "3"], kind=["a", "", "a"])
    encoder = fit(subject)
    assert encoder.feature_names == ("size", "size=?", "kind=a", "kind=?")
    assert encoder.transform(subject).tolist() == [[-1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]


def test_missing_only_in_other_rows_is_the_mean():
    encoder = fit(table(size=["1", "3"]))
    assert encoder.transform(table(size=["?"])).tolist() == [[0]]


@pytest.mark.parametrize("cells", [["2", "2"], ["0.1", "0.1", "0.1"]])
def test_a_constant_column_is_0(cells):
    encoder = fit(table(size=cells))
    assert encoder.transform(table(size=cells)) == pytest.approx(0, abs=1e-6)


def test_a_column_without_any_value_is_a_category():
    (column,) = fit(table(size=["?", "?"])).columns
    assert column == CategoryColumn(name="size", categories=())


def test_codes_are_categories_when_told_so():
    (column,) = fit(table(code=["7", "12"]), categorical=("code",)).columns
    assert column == CategoryColumn(name="code", categories=("12", "7"))
    assert isinstance(fit(table(code=["7", "12"])).columns[0], NumericColumn)


def test_a_column_of_numbers_and_text_is_not_guessed_at():
    subject = table(size=["1", "2", "abc", "4"])
    with pytest.raises(DataError) as caught:
        fit(subject)
    assert str(caught.value).startswith(
        "t.csv:4: column 'size': 'abc' is not a number, but 3 other cells of this column are."
    )
    assert fit(subject, categorical=("size",)).feature_names[-2] == "size=abc"
    assert fit(subject, missing=("abc",)).feature_names == ("size", "size=?")


@pytest.mark.parametrize("cell", ["abc", "nan", "inf", "1_000"])
def test_a_cell_that_is_no_finite_number(cell):
    encoder = fit(table(size=["1", "3"]))
    with pytest.raises(DataError, match=rf"t.csv:3: column 'size': .* found '{cell}'"):
        encoder.transform(table(size=["2", cell]))


def test_identifiers_are_refused():
    with pytest.raises(DataError, match=r"'name' has 1,001 different values.*data\.drop"):
        fit(table(name=[f"person {number}" for number in range(1001)]))
