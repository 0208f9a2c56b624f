"""Tables in memory; how they come to be is asked in test_reading.py."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import Dialect
from jaxtrain.data.tables.table import is_blank
from jaxtrain.errors import ConfigError


def test_an_unknown_column_has_a_neighbour(read):
    with pytest.raises(ConfigError, match=r"no column 'agee'; did you mean 'age'\? .*age, sex"):
        read("age,sex\n1,2\n").refuse_unknown("agee")


@pytest.mark.parametrize(("delimiter", "named"), [(";", ";"), ("\t", r"\\t"), ("|", r"\|")])
def test_another_delimiter_is_what_it_may_be(read, delimiter, named):
    """Seen: "no column 'y'" for a file with `;` or tabs, and no option for it."""
    text = f"x{delimiter}y\n1{delimiter}2\n"
    with pytest.raises(ConfigError, match=rf'no column .y.*set data\.delimiter="{named}"'):
        read(text).refuse_unknown("y")
    read(text, dialect=Dialect(delimiter=delimiter)).refuse_unknown("y")


def test_rows_by_their_number(read):
    table = read('a,b\n\n1,"x\ny"\n2,z\n')
    assert len(table) == 2
    assert [table.line(0), table.line(1)] == [3, 5]
    assert table.row_numbers().tolist() == [1, 2]


def test_blank_lines():
    assert is_blank([" "], 2)
    assert not is_blank([" "], 1)
    assert not is_blank(["", ""], 2)


def test_a_table_of_text_is_used_up_as_well(read):
    table = read("a\nx\ny\n")
    assert [(start, stop) for start, stop, _ in table.used_up()] == [(0, 2)]
