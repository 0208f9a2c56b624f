"""Dates as people write them."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from jaxtrain.data.tables.dates import date_form, parse_dates


def form(*cells, **options):
    options = {"day_first": None} | options
    return date_form(pa.array(cells, pa.string()), **options)


def days(name, *cells):
    return parse_dates(pa.array(cells, pa.string()), name).days


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("2024-03-05", "year-month-day"),
        ("2024/3/5", "year-month-day"),
        ("2024. 3. 5.", "year-month-day"),
        ("2024년 3월 5일", "year-month-day"),
        ("2024-03-05T10:11:12.5Z", "year-month-day"),
        ("5.3.2024", "day.month.year"),
        ("13/3/2024", "day/month/year"),
        ("3/13/2024", "month/day/year"),
        ("5 Mar 2024", "day month-name year"),
        ("05-March-2024", "day month-name year"),
        ("Mar 5, 2024", "month-name day, year"),
    ],
)
def test_forms(cell, name):
    assert form(cell) == name
    day = 13 if "13" in cell else 5
    assert days(name, cell) == [(datetime.date(2024, 3, day) - datetime.date(1970, 1, 1)).days]


@pytest.mark.parametrize(
    "cell",
    ["2023-02-29", "2024-13-01", "0000-01-01", "x", "", "2024", "1/2/24", "2024-01-01 25:00"],
)
def test_no_dates(cell):
    assert form(cell) is None


def test_the_order_of_day_and_month_is_never_guessed():
    assert form("3/4/2024") == "ambiguous"
    assert form("3/4/2024", "13/4/2024") == "day/month/year"
    assert form("3/4/2024", day_first=False) == "month/day/year"
    assert form("3/4/2024", day_first=True) == "day/month/year"
    assert form("4/4/2024") == "day/month/year"  # either way the same
    assert form("13/4/2024", "4/13/2024") is None


def test_eight_digits_are_a_date_where_somebody_says_so():
    assert form("20240305") is None
    assert form("20240305", declared=True) == "yearmonthday"


def test_times():
    cells = ["2024-01-01 00:30", "2024-01-01 12:30 AM", "2024-01-01 1:05 pm", "2024-01-01"]
    found = parse_dates(pa.array(cells), "year-month-day")
    assert found.has_time
    assert found.seconds.tolist() == [1800, 1800, 13 * 3600 + 300, 0]
    assert not parse_dates(pa.array(cells[3:]), "year-month-day").has_time


def test_a_time_zone_may_change_the_day():
    found = parse_dates(
        pa.array(["2024-01-01T01:00+09:00", "2024-01-01T23:00-0200"]), "year-month-day"
    )
    assert np.diff(found.days) == [2]
    assert found.seconds.tolist() == [16 * 3600, 3600]


def test_long_ago():
    assert days("year-month-day", "1969-12-31", "0001-01-01").tolist() == [-1, -719162]


def test_an_order_that_is_said_is_not_overruled_by_a_cell():
    """One typing error in a column of day-first dates swapped all days and months."""
    assert form("03/25/2024", "03/04/2024") == "month/day/year"
    assert form("03/25/2024", "03/04/2024", day_first=True) is None
    assert form("25/03/2024", "03/04/2024", day_first=False) is None
