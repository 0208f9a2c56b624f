"""Tests of jaxtrain.report.page.figures, beside those in its docstrings."""

import pytest

from jaxtrain.report.page.figures import duration, figure, is_number, size, unit_of


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.123456, "-0.1235"),
        (999.96, "1000"),
        (1e300, "1e+300"),
        (2e6, "2,000,000"),
        (1234567.8, "1,234,568"),
        (1e999, "inf"),
        (5.0, "5"),
    ],
)
def test_figures(value, told):
    assert figure(value) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59.9, "59.9 s"), (60, "1 min"), (3600, "1 h"), (3661, "1 h 1 min"), (86400 * 3, "3 d")],
)
def test_durations(seconds, told):
    assert duration(seconds) == told


def test_units():
    assert unit_of("read_bytes_per_second", 2**21) == ("MiB per s", 2**20)
    assert unit_of("x_bytes", 1023) == ("B", 1)
    assert unit_of("x_bytes", 1024) == ("KiB", 1024)
    assert unit_of("x_bytes", 1e30) == ("PiB", 2**50)
    assert [unit_of(name).name for name in ("a_watts", "a_celsius", "a_seconds", "a")] == [
        "W", "°C", "s", "",
    ]  # fmt: skip
    assert size(3 * 2**30) == "3.0 GiB"


def test_numbers():
    assert [is_number(value) for value in (1, 1.5, True, None, "1", [1])] == [True, True] + 4 * [
        False
    ]
