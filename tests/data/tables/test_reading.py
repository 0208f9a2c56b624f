"""Files become tables: numbers, text, nothing else; and what is broken is told with its place."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from jaxtrain.data.tables import Dialect, read_head, read_table
from jaxtrain.data.tables.reading import count_cells
from jaxtrain.errors import DataError
from tests.data.tables.conftest import cells


def test_header_blanks_quotes_and_empty_lines(read):
    table = read('a, b\n\n1,  "x, y" \n   \n2,z\n\n')
    assert table.columns == ("a", "b")
    assert table.floats("a").tolist() == [1, 2]
    assert cells(table, "b") == ["x, y", "z"]
    assert table.place(1, "b").endswith("t.csv:5: column 'b'")


def test_rows_of_nothing_but_delimiters_are_left_out(read):
    table = read('a,b,c\n1,x,\n,,\n"", ,\n2,,\n?,,\n,,\n')
    assert np.isnan(table.floats("a")).tolist() == [False, False, True]
    assert table.row_numbers().tolist() == [1, 4, 5]
    assert [table.line(row) for row in range(3)] == [2, 5, 6]


def test_a_blank_row_is_one_whatever_is_read_of_it(read):
    table = read("id,a\n1,\n,\n2,5\n", only=("a",))
    assert table.row_numbers().tolist() == [1, 3]


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


@pytest.mark.parametrize("cell", ["abc", "nan", "inf", "-inf", "NaN(1)", "1_000", "1e400", "0x1f"])
def test_what_is_no_finite_number_makes_text_of_its_column(read, cell):
    """And is found, however far behind the first look it stands."""
    rows = "".join(f"{number},2\n" for number in range(3000))
    table = read(f"a,b\n{rows}{cell},2\n")
    assert set(table.numbers) == {"b"}
    assert table.texts["a"].value(table.texts["a"].codes[3000]) == cell
    assert table.place(3000, "a").endswith("t.csv:3002: column 'a'")


@pytest.mark.parametrize("cell", ["  7", "7  ", "\t7", "+7", "7.", "07"])
def test_numbers_with_something_around_them(read, cell):
    rows = "".join(f"{number}\n" for number in range(1500))
    table = read(f"a\n{rows}{cell}\n   ?  \n")
    assert table.floats("a")[1500] == 7
    assert np.isnan(table.floats("a")[1501])


def test_marks_are_missing_in_quotes_and_between_blanks(read):
    table = read('a,b\n1,x\n"NA",y\n NA ,NA\n,\n2,z\n', missing=("NA", ""))
    assert np.isnan(table.floats("a")).tolist() == [False, True, True, False]
    assert table.texts["b"].among(["NA"]).any()


def test_columns_to_read_and_to_read_as_text(read):
    table = read("a,b,c\n1,2,3\n", only=("a", "c"), text=("c",))
    assert list(table.numbers) == ["a"]
    assert cells(table, "c") == ["3"]
    assert len(read("a\n1\n", only=())) == 1


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


def test_cells_are_counted_without_being_kept(write):
    head = read_head(write("a,b\nNA,-\nNA,x\n1,NA\n"), Dialect())
    found = count_cells(head, ("a", "b"), ("NA", "-"))
    assert {name: dict(one) for name, one in found.items()} == {
        "a": {"NA": 2},
        "b": {"NA": 1, "-": 1},
    }


def test_the_memory_of_blocks_goes_back_at_once(read):
    table = read("a\n1\n2\n")
    seen = [(start, stop, numbers.tolist()) for start, stop, numbers in table.used_up()]
    assert seen == [(0, 2, [[1.0, 2.0]])]
    assert table.blocks == []


def test_a_file_that_changes_between_two_looks(write):
    path = write("a\n1\n2\n")
    table = read_table(read_head(path, Dialect()), missing=())
    path.write_text("a\n")
    assert table.place(1, "a").endswith("t.csv:?: column 'a'")


def test_a_first_line_of_numbers_is_told_of(write, caplog):
    """The first row of a file without a header was lost without a word."""
    read_head(write("1.5,1,b\n2.5,0,a\n"), Dialect())
    assert "the first line (1.5, 1, b) was taken for the names" in caplog.text
    caplog.clear()
    read_head(write("x,y,label\n2.5,0,a\n"), Dialect())
    read_head(write("1.5,1,b\n2.5,0,a\n"), Dialect(), columns=("x", "y", "label"))
    assert caplog.text == ""
