"""What the columns of an encoder have in common."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.tables import Dialect
from jaxtrain.data.tables.column import flag_in, floats_of, number_in, refuse_overflow, text_in
from jaxtrain.errors import DataError


def test_numbers_that_were_read_as_text(read):
    table = read('a\n"1,5"\n?\n+2\n', text=("a",), dialect=Dialect(delimiter=";", decimal=","))
    assert floats_of(table, "a", ("?",)).tolist() == pytest.approx([1.5, np.nan, 2], nan_ok=True)
    with pytest.raises(DataError, match=r"t\.csv:3: column 'a': .* found '\?'; mend the cell"):
        floats_of(table, "a", ())


def test_a_mark_that_looks_like_a_number_is_missing(read):
    table = read("a\n-9\n1\n", text=("a",))
    assert np.isnan(floats_of(table, "a", ("-9",))).tolist() == [True, False]


def test_what_overflows_has_the_place_of_its_row(read):
    table = read("a\n1\n2\n3\n")
    with pytest.raises(DataError, match=r"t\.csv:4: column 'a': 3 is too large"):
        refuse_overflow(table, "a", 1, np.array([2.0, 3.0]), np.array([1.0, np.inf]))
    refuse_overflow(table, "a", 0, np.array([np.nan, 2.0]), np.array([np.nan, 1e38]))
    refuse_overflow(table, "a", 0, np.zeros(0), np.zeros(0))


def test_values_of_a_record_are_what_they_must_be():
    record = {"text": "a", "flag": False, "number": 1}
    assert (text_in(record, "text"), flag_in(record, "flag")) == ("a", False)
    assert number_in(record, "number", above=0) == 1.0
    for read_one, name in ((text_in, "flag"), (flag_in, "number"), (number_in, "flag")):
        with pytest.raises(DataError, match=name):
            read_one(record, name)
    with pytest.raises(DataError, match="finite number"):
        number_in(record, "number", above=1)
