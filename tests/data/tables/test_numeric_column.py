"""Columns of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.tables import Dialect, NumericColumn
from jaxtrain.data.tables.encoder import TableEncoder
from jaxtrain.errors import DataError

GOOD = {"name": "a", "mean": 1.5, "deviation": 2, "flag_missing": True, "sign": ""}


def encode(column, table, missing=("?", "")):
    rows = np.arange(len(table))
    return TableEncoder((column,)).encode(table, {"all": rows}, missing=missing)["all"]


def fit(table, **options):
    return NumericColumn.fit(table, "a", np.arange(len(table)), missing=("?", ""), **options)


def test_numbers_are_standardised(read):
    column = fit(read("a\n1\n3\n"))
    assert encode(column, read("a\n1\n3\n5\n")).tolist() == [[-1], [1], [3]]
    assert column.feature_names == ("a",)


def test_missing_cells_are_the_mean_and_flagged(read):
    column = fit(read("a,b\n1,x\n?,x\n3,x\n"))
    assert column.feature_names == ("a", "a=?")
    assert encode(column, read("a\n1\n?\n")).tolist() == [[-1, 0], [0, 1]]
    assert encode(fit(read("a\n1\n3\n")), read("a,b\n?,x\n")).tolist() == [[0]]


@pytest.mark.parametrize("cells", [["2", "2"], ["0.1", "0.1", "0.1"]])
def test_a_constant_column_is_0(read, cells):
    text = "\n".join(["a", *cells])
    assert encode(fit(read(text)), read(text)) == pytest.approx(0, abs=1e-6)


def test_only_the_rows_that_are_asked_for(read):
    column = NumericColumn.fit(read("a\n1\n3\n100\n"), "a", np.array([0, 1]), missing=())
    assert (column.mean, column.deviation) == (2, 1)


def test_signs(read):
    text = "a\n1%\n3 %\n"
    column = fit(read(text), sign="%")
    assert column.is_text
    assert encode(column, read(text, text=("a",))).tolist() == [[-1], [1]]
    with pytest.raises(DataError, match=r"t\.csv:3: column 'a': .* sign %.*, found '4'"):
        encode(column, read("a\n1%\n4\n", text=("a",)))


def test_thousands(read):
    dialect = Dialect(thousands=",")
    column = fit(read('a\n"1,000"\n"3,000"\n', dialect=dialect))
    assert (column.mean, column.deviation) == (2000, 1000)


@pytest.mark.parametrize("cell", ["abc", "nan", "inf", "1_000"])
def test_a_cell_that_is_no_finite_number(read, cell):
    column = fit(read("a\n1\n3\n"))
    with pytest.raises(DataError, match=rf"t\.csv:3: column 'a': .* found '{cell}'"):
        encode(column, read(f"a\n2\n{cell}\n"))


def test_a_cell_that_float32_does_not_hold_has_a_place(read):
    """Seen (C25): a cell 1e39 of the test file made Inf, and no word of file or line."""
    column = fit(read("a\n1\n3\n"))
    with pytest.raises(DataError, match=r"t\.csv:4: column 'a': 1e\+39 is too large"):
        encode(column, read("a\n1\n\n1e39\n"))
    assert np.isfinite(encode(column, read("a\n1e38\n"))).all()


def test_numbers_whose_squares_no_float_holds(read):
    with pytest.raises(DataError, match=r"t\.csv:3: column 'a': too large"):
        fit(read("a\n1\n-1e200\n"))


def test_there_and_back(read):
    column = fit(read("a,b\n1,\n?,x\n0.3,\n"))
    assert NumericColumn.from_json(column.to_json()) == column


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": float("nan")},
        {"mean": True},
        {"mean": "1"},
        {"mean": 10**400},
        {"deviation": 0},
        {"deviation": -1.0},
        {"deviation": None},
        {"flag_missing": 1},
        {"name": 3},
        {"sign": None},
    ],
)
def test_what_is_no_column_is_refused(wrong):
    assert NumericColumn.from_json(GOOD).mean == 1.5
    with pytest.raises(DataError, match=f"an encoder: {next(iter(wrong))}"):
        NumericColumn.from_json(GOOD | wrong)
    with pytest.raises(DataError):
        NumericColumn.from_json({k: v for k, v in GOOD.items() if k not in wrong})
