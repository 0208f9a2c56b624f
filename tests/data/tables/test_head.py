"""The first look at a file: names of columns, or none, and what stands before them."""

from __future__ import annotations

import gzip

import pytest

from jaxtrain.data.tables import Dialect, read_head
from jaxtrain.errors import DataError


def test_given_columns_mean_no_header(read):
    assert read("1,2\n", columns=("a", "b")).floats("b").tolist() == [2]


def test_a_header_is_one_though_columns_are_given(read):
    table = read("b,a\n1,2\n", columns=("a", "b"))
    assert table.floats("a").tolist() == [2]


def test_the_optional_column_may_lack(read):
    table = read("1,2\n", columns=("a", "y", "b"), optional="y")
    assert table.columns == ("a", "b")
    assert read("2,1\n", columns=("a", "y"), optional="y").columns == ("a", "y")


def test_gzip_and_byte_order_mark(write):
    path = write(gzip.compress("\ufeffa\n1\n".encode()), "t.csv.gz")
    assert read_head(path, Dialect()).columns == ("a",)


def test_a_preamble_is_skipped_where_it_is_first(read):
    assert len(read("|1x3\na\n1\n", preamble="|")) == 1
    with pytest.raises(DataError, match=r"t\.csv:2: expected 2 cells \(a to b\), found 1"):
        read("1,2\n|x\n", columns=("a", "b"), preamble="|")


def test_a_first_line_of_numbers_is_told_of(write, caplog):
    """The first row of a file without a header was lost without a word."""
    read_head(write("1.5,1,b\n2.5,0,a\n"), Dialect())
    assert "the first line (1.5, 1, b) was taken for the names" in caplog.text
    caplog.clear()
    read_head(write("x,y,label\n2.5,0,a\n"), Dialect())
    read_head(write("1.5,1,b\n2.5,0,a\n"), Dialect(), columns=("x", "y", "label"))
    assert caplog.text == ""
