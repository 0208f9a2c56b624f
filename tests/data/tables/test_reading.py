"""Files become tables: numbers, text, nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.tables import Dialect, read_head, read_table
from jaxtrain.data.tables.reading import count_cells
from tests.data.tables.conftest import cells


def test_header_blanks_quotes_and_empty_lines(read):
    table = read('a, b\n\n1,  "x, y" \n   \n2,z\n\n')
    assert table.columns == ("a", "b")
    assert table.floats("a").tolist() == [1, 2]
    assert cells(table, "b") == ["x, y", "z"]
    assert table.place(1, "b").endswith("t.csv:5: column 'b'")


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


def test_cells_are_counted_without_being_kept(write):
    head = read_head(write("a,b\nNA,-\nNA,x\n1,NA\n"), Dialect())
    found = count_cells(head, ("a", "b"), ("NA", "-"))
    assert {name: dict(one) for name, one in found.items()} == {
        "a": {"NA": 2},
        "b": {"NA": 1, "-": 1},
    }


def test_a_file_that_changes_between_two_looks(write):
    path = write("a\n1\n2\n")
    table = read_table(read_head(path, Dialect()), missing=())
    path.write_text("a\n")
    assert table.place(1, "a").endswith("t.csv:?: column 'a'")
