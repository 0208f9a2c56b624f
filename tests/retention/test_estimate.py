"""Tests of jaxtrain.retention.estimate."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.errors import DataError
from jaxtrain.retention import Estimate

number = st.floats(allow_nan=False, allow_infinity=False)
end = st.floats(allow_nan=False)


@given(number, end, end)
def test_json_holds_every_bit(value, one, other):
    estimate = Estimate(value, min(value, one), max(value, other))
    text = json.dumps(estimate.to_json(), allow_nan=False)
    assert Estimate.from_json(json.loads(text)) == estimate


def test_an_end_that_is_not_known_is_null():
    assert Estimate(1.0, -math.inf, math.inf).to_json() == [1.0, None, None]


@pytest.mark.parametrize(
    "record",
    [
        None,
        0.5,
        [0.5],
        [0.5, 0.6, 0.7],
        [0.5, 0.1, 0.4],
        [None, 0, 1],
        [math.nan, 0, 1],
        [0.5, math.nan, 1],
        [math.inf, 0, math.inf],
        [10**400, 0, None],
        [True, 0, 1],
        ["0.5", 0, 1],
        {"value": 1},
    ],
)
def test_what_is_no_figure_is_refused(record):
    with pytest.raises(DataError, match=r"a figure: expected \[value, low, high\], found"):
        Estimate.from_json(record)


def test_text_says_value_and_ends():
    estimate = Estimate(-0.125, -0.25, 0.0)
    assert estimate.text(scale=100, sign=True) == "-12.5 [-25.0, +0.0]"
    assert estimate.text(digits=3) == "-0.125 [-0.250, 0.000]"
