"""What a column holds, and why."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import kind_of
from jaxtrain.data.tables.numbers import NumberForm


@pytest.fixture
def kind(read):
    def of(cells, missing=("?", ""), **options):
        quoted = (f'"{cell}",x' for cell in cells)
        return kind_of(read("\n".join(["a,b", *quoted])), "a", missing=missing, **options)

    return of


@pytest.mark.parametrize(
    ("cells", "name", "why"),
    [
        (["1", "2.5", "?"], "number", "numbers from 1 to 2.5"),
        (["1", "1", "1"], "constant", "1 in every row"),
        (["1", "1", "?"], "number", "numbers from 1 to 1"),
        (["?", ""], "empty", "every cell is missing"),
        ([str(n) for n in range(1, 30)], "identifier", "counts the rows from 1 to 29"),
        ([str(n) for n in range(0, 60, 2)], "number", "numbers from 0 to 58"),
        (["5%", "6%"], "number", "with the sign %"),
        (["1,000", "2"], "number", "with groups of digits apart by ','"),
        (["2024-01-02", "?"], "date", "dates such as '2024-01-02'"),
        (["3/4/2024"], "date", "in an order that no value shows"),
        (["a", "b", "a"], "category", "2 different values in 3 rows"),
        (["a", "a"], "constant", "'a' in every row"),
        (["a", "a", "?"], "category", "1 different values in 2 rows"),
        ([f"id{n}" for n in range(30)], "identifier", "all 30 values are different"),
        ([f"{n} words " * 20 for n in range(30)], "text", "all 30 values are different"),
        ([f"id{n}" for n in range(30)] * 2, "category", "30 different values in 60 rows"),
        ([f"id{n}" for n in range(40)] + ["id0"] * 20, "text", "40 different values in 60 rows"),
        (["1", "2", "abc"], "unclear", "'abc' is not a number, but 2 other cells"),
        (["1,000", "2,500", "abc"], "unclear", "'abc' is not a number, but 2 other cells"),
        (["2024-01-02", "2024-01-03", "NA"], "unclear", "'NA' is not a date, but 2 other"),
        (["5 %", "low", "high"], "category", "3 different values"),
    ],
)
def test_kinds(kind, cells, name, why):
    found = kind(cells)
    assert found.kind == name
    assert why in found.why


def test_what_one_must_know_to_read_it(kind):
    assert kind(["$1,000", "$2"]).form == NumberForm(thousands=",", sign="$")
    assert kind(["3/4/2024"]).dates == "ambiguous"
    assert kind(["3/4/2024"], day_first=True).dates == "day/month/year"
    assert kind(["1", "2", "abc", "abd"]).odd == "abc"


def test_numbers_that_pyarrow_does_not_read_are_numbers(kind):
    assert kind(["1", "  2  ", "3"]).kind == "number"
