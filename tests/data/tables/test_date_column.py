"""Columns of dates."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data.tables import DateColumn
from jaxtrain.data.tables.encoder import TableEncoder
from jaxtrain.errors import ConfigError, DataError

GOOD = {
    "kind": "date",
    "name": "a",
    "form": "year-month-day",
    "mean": 1.0,
    "deviation": 2.0,
    "has_time": False,
    "flag_missing": False,
}


def encode(column, table, missing=("?", "")):
    rows = np.arange(len(table))
    return TableEncoder((column,)).encode(table, {"all": rows}, missing=missing)["all"]


def fit(table, **options):
    return DateColumn.fit(table, "a", np.arange(len(table)), missing=("?", ""), **options)


def test_days_are_standardised_and_turns_are_circles(read):
    table = read("a\n2024-01-01\n2024-01-03\n")
    column = fit(table)
    assert column.feature_names == ("a", "a:sin(year)", "a:cos(year)", "a:sin(week)", "a:cos(week)")
    features = encode(column, table)
    assert features[:, 0].tolist() == [-1, 1]
    angle = 2 * np.pi * 2 / 366
    turns = [[0, 1], [np.sin(angle), np.cos(angle)]]
    np.testing.assert_allclose(features[:, 1:3], turns, atol=1e-6)


def test_a_week_later_the_week_is_the_same_and_a_year_later_nearly_the_year(read):
    table = read("a\n2021-03-05\n2021-03-12\n2022-03-05\n")
    features = encode(fit(table), table)
    np.testing.assert_array_equal(features[0, 3:], features[1, 3:])
    np.testing.assert_array_equal(features[0, 1:3], features[2, 1:3])
    assert abs(features[0, 1] - features[1, 1]) > 0.01


def test_the_week_begins_where_it_begins(read):
    table = read("a\n2024-01-01\n2024-01-04\n")  # a Monday, a Thursday
    angle = 2 * np.pi * 3 / 7
    np.testing.assert_allclose(
        encode(fit(table), table)[:, 3:], [[0, 1], [np.sin(angle), np.cos(angle)]], atol=1e-6
    )


def test_times_turn_in_a_day(read):
    table = read("a\n2024-01-01 06:00\n2024-01-01 18:00\n")
    column = fit(table)
    assert column.feature_names[-2:] == ("a:sin(day)", "a:cos(day)")
    features = encode(column, table)
    np.testing.assert_allclose(features[:, 5:], [[1, 0], [-1, 0]], atol=1e-6)
    np.testing.assert_allclose(features[:, 0], [-1, 1])


def test_missing_dates(read):
    table = read("a,b\n2024-01-01,x\n?,x\n2024-01-03,x\n")
    column = fit(table)
    assert column.feature_names[-1] == "a=?"
    features = encode(column, table)
    assert features[:, -1].tolist() == [0, 1, 0]
    assert features[1, :-1].tolist() == [0] * 5


def test_the_order_of_day_and_month_has_to_be_said(read):
    table = read("a\n3/4/2024\n5/6/2024\n")
    with pytest.raises(ConfigError, match=r"'a': no date says .*such as '3/4/2024'.*day_first"):
        fit(table)
    assert fit(table, day_first=True).form == "day/month/year"
    assert fit(read("a\n3/4/2024\n5/13/2024\n")).form == "month/day/year"


def test_what_is_no_date_has_a_place(read):
    with pytest.raises(DataError, match=r"t\.csv:3: column 'a': 'soon' is no date written as year"):
        fit(read("a\n2024-01-01\nsoon\n"))
    column = fit(read("a\n2024-01-01\n"))
    with pytest.raises(DataError, match=r"t\.csv:3: .*as year-month-day, found '1\.2\.2024'"):
        encode(column, read("a\n2024-01-01\n1.2.2024\n"))
    with pytest.raises(DataError, match="every cell is missing"):
        fit(read("a,b\n?,x\n", text=("a",)))


def test_there_and_back_to_the_bit(read):
    table = read("a,b\n2024-01-01 10:11:12,x\n?,x\n1999-12-31,x\n")
    column = fit(table)
    again = DateColumn.from_json(json.loads(json.dumps(dict(column.to_json()))))
    assert again == column
    np.testing.assert_array_equal(encode(again, table), encode(column, table))


@pytest.mark.parametrize(
    "wrong",
    [{"form": "x"}, {"form": None}, {"mean": None}, {"deviation": 0}, {"has_time": 0}, {"name": 1}],
)
def test_what_is_no_column_is_refused(wrong):
    DateColumn.from_json(GOOD)
    with pytest.raises(DataError, match="an encoder: "):
        DateColumn.from_json(GOOD | wrong)


def test_a_scale_that_somebody_has_edited_makes_no_infinity(read):
    column = DateColumn.from_json(GOOD | {"deviation": 1e-300})
    with pytest.raises(DataError, match="too large"):
        encode(column, read("a\n2024-01-01\n"))
