"""Blocks of a file are the rows of one table, wherever they were cut; a broken one has a place."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.tables import Dialect
from jaxtrain.errors import DataError
from tests.data.tables.conftest import cells


def test_rows_of_nothing_but_delimiters_are_left_out(read):
    table = read('a,b,c\n1,x,\n,,\n"", ,\n2,,\n?,,\n,,\n')
    assert np.isnan(table.floats("a")).tolist() == [False, False, True]
    assert table.row_numbers().tolist() == [1, 4, 5]
    assert [table.line(row) for row in range(3)] == [2, 5, 6]


def test_a_blank_row_is_one_whatever_is_read_of_it(read):
    table = read("id,a\n1,\n,\n2,5\n", only=("a",))
    assert table.row_numbers().tolist() == [1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"t\.csv:3: expected 2 cells \(a to b\), found 1"),
        ("a,b\n1,2,3\n", r"t\.csv:2: expected 2 cells \(a to b\), found 3"),
        ('a,b\n"u\nv",2\n\n3\n', r"t\.csv:5: expected 2 cells \(a to b\), found 1"),
        ("a,b,a\n1,2,3\n", "named more than once: a"),
        ("a,b\n", "at least one row"),
        ("a,b\n,\n", "at least one row"),
        ("", "at least one row"),
        ('a,b\n1,"x\n', r"t\.csv:2: not CSV: a quote is opened and never closed"),
        ("a;b\n1,5;2\n", r't\.csv:2: expected 1 cells .*set data\.delimiter=";"'),
    ],
)
def test_broken_tables(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_rows_of_the_wrong_length_far_in(read):
    text = "a,b\n" + "1,2\n" * 500_000 + "3\n"
    with pytest.raises(DataError, match=r"t\.csv:500002: expected 2 cells"):
        read(text)


def test_long_cells_are_cells(read):
    assert len(cells(read("a\n" + "x" * 200_000), "a")[0]) == 200_000


@pytest.mark.usefixtures("small_blocks")
def test_many_blocks_are_one_table(read):
    rows = [(f"{n / 3}", f"c{n % 5}", f'"q{n}, {n}"') for n in range(200)]
    table = read("\n".join(["x,c,q", *map(",".join, rows)]))
    assert table.floats("x").tolist() == [float(row[0]) for row in rows]
    assert cells(table, "c") == [row[1] for row in rows]
    assert cells(table, "q") == [row[2].strip('"') for row in rows]
    assert len(table.blocks) > 20
    assert [table.line(row) for row in range(0, 200, 3)] == list(range(2, 202, 3))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("odd", ['5"', ' "a, b"'])
def test_a_block_that_was_cut_in_a_quoted_cell_is_read_again(read, odd):
    """A lone quote, or blanks before one, make the number of quotes say nothing."""
    plain = "1,x,y\n" * 30
    text = f'a,b,c\n{plain}2,{odd},"u\nv"\n' + '3,"u\n,\n","w\n"\n' * 30
    table = read(text)
    assert len(table) == 61
    assert cells(table, "b")[31:] == ["u\n,"] * 30
    assert table.line(60) == 32 + 2 + 29 * 4


def test_what_a_decimal_comma_makes_of_it(read):
    table = read("a;b\n1,5;1.5\n", dialect=Dialect(delimiter=";", decimal=","))
    assert table.floats("a").tolist() == [1.5]
    assert cells(table, "b") == ["1.5"]


def test_thousands_far_behind_numbers_without_them(read):
    rows = "".join(f"{number % 900}\n" for number in range(3000))
    table = read(f'a\n{rows}"1,234"\n', dialect=Dialect(thousands=","))
    assert table.floats("a")[3000] == 1234


def test_the_memory_of_blocks_goes_back_at_once(read):
    table = read("a\n1\n2\n")
    seen = [(start, stop, numbers.tolist()) for start, stop, numbers in table.used_up()]
    assert seen == [(0, 2, [[1.0, 2.0]])]
    assert table.blocks == []
