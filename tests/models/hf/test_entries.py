from __future__ import annotations

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models.hf.entries import Entries


def test_values_are_read_as_what_they_are():
    given = Entries({"n": 3, "x": 2, "y": 0.5, "f": False, "none": None}, "config.json")
    assert (given.size("n"), given.number("x"), given.number("y")) == (3, 2.0, 0.5)
    assert type(given.number("x")) is float
    assert given.flag("f", True) is False
    # Absent and null are the same.
    assert (given.size("none", 7), given.number("gone", 7.0), given.flag("none", True)) == (
        7,
        7,
        True,
    )


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None, [1], 2**31, 10**400])
def test_what_is_no_size(value):
    with pytest.raises(ConfigError, match="here: n: expected a whole number from 1, found "):
        Entries({"n": value}, "here").size("n")


@pytest.mark.parametrize("value", [0, -0.5, float("nan"), float("inf"), "1", True, None, 10**400])
def test_what_is_no_number(value):
    with pytest.raises(ConfigError, match="here: n: expected a number above 0, found "):
        Entries({"n": value}, "here").number("n")


@pytest.mark.parametrize("value", [0, 1, "true", []])
def test_what_is_no_flag(value):
    with pytest.raises(ConfigError, match="here: n: expected true or false, found "):
        Entries({"n": value}, "here").flag("n", True)


@pytest.mark.parametrize("value", [False, 0, 0.0, None])
def test_what_is_off_is_let_pass(value):
    Entries({"n": value}, "here").refuse_unless("n", (False, None))
    Entries({}, "here").refuse_unless("n", (False, None))


@pytest.mark.parametrize("value", [True, 1, "false", [], {}, 0.1])
def test_what_is_on_is_refused(value):
    with pytest.raises(ConfigError, match=r"here: n: expected false or null, found .*does not do"):
        Entries({"n": value}, "here").refuse_unless("n", (False, None))
