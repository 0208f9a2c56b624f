"""Numbers as people write them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from jaxtrain.data.tables.numbers import NumberForm, form_of


def parse(form, *cells):
    return form.parse(pa.array(cells, pa.string())).tolist()


def form(*cells, given=None):
    return form_of(pa.array(cells, pa.string()), given or NumberForm())


def test_plain_numbers():
    assert parse(NumberForm(), "1", "-2.5", "+3", "4.", ".5", "1e3") == [1, -2.5, 3, 4, 0.5, 1000]


@pytest.mark.parametrize(
    "cell", ["1_0", "nan", "inf", "-inf", "0x1f", "1e999", "", "1 2", "１", "5%"]
)
def test_no_numbers(cell):
    assert np.isnan(parse(NumberForm(), cell))


def test_other_forms():
    assert parse(NumberForm(thousands=","), "1,234.5", "12", "12,34", "1,2345") == pytest.approx(
        [1234.5, 12, np.nan, np.nan], nan_ok=True
    )
    assert parse(NumberForm(",", "."), "1.234,5", "0,5", "1.5") == pytest.approx(
        [1234.5, 0.5, np.nan], nan_ok=True
    )
    assert parse(NumberForm(sign="%"), "5%", "7 %", "7", "%5%", "-3%") == pytest.approx(
        [5, 7, np.nan, np.nan, -3], nan_ok=True
    )
    assert parse(NumberForm(thousands=",", sign="$"), "$1,200.50", "-$3", "$-4", "5$") == [
        1200.5,
        -3,
        -4,
        5,
    ]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["1", "2"], NumberForm()),
        (["1,234", "999"], NumberForm(thousands=",")),
        (["5%", "7 %"], NumberForm(sign="%")),
        (["€ 5", "7 €"], NumberForm(sign="€")),
        (["1,5", "2"], NumberForm(",")),
        (["1.234,5"], NumberForm(",", ".")),
        (["1 234"], NumberForm(thousands=" ")),
        (["5%", "7"], None),
        (["1_000"], None),
        (["a"], None),
        ([], None),
    ],
)
def test_the_form_that_fits_all(cells, found):
    assert form(*cells) == found


def test_a_value_behind_the_first_ones_counts_too():
    cells = [f"{number}%" for number in range(500)]
    assert form(*cells) == NumberForm(sign="%")
    assert form(*cells, "x") is None


def test_what_a_config_says_is_tried_first():
    assert form("1,234", given=NumberForm(",")) == NumberForm(",")
    assert form("1.234", given=NumberForm(",", ".")) == NumberForm(",", ".")
