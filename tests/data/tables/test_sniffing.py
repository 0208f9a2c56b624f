"""How a file looks to be written."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import Dialect, sniff
from jaxtrain.data.tables.sniffing import find_delimiter


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_makes_rows_of_one_length(delimiter):
    rows = [["a", "b", "note"], ["1", "2", '"x, y; z"'], ["3", "4", '"u|v\tw"']]
    assert find_delimiter("\n".join(delimiter.join(row) for row in rows)) == delimiter


def test_a_delimiter_in_quotes_is_none():
    assert find_delimiter('a,b\n"1;2",3\n"4;5",6\n') == ","
    assert find_delimiter('"a;b"\n"1;2"\n') is None


def test_decimal_commas_are_no_delimiters():
    assert find_delimiter("1,5;2,5\n3,5;4,5\n") == ";"


def test_a_single_column_has_none():
    assert find_delimiter("a\n1\n2\n") is None
    assert find_delimiter("") is None


def test_korean_is_found_though_most_of_the_file_is_numbers(write):
    rows = [f"{number},{number * 1.5},{'서울' if number % 7 else '부산'}" for number in range(3000)]
    path = write("\n".join(["id,value,city", *rows]).encode("cp949"))
    assert sniff(path) == Dialect(encoding="cp949")


def test_a_letter_that_is_cut_in_two_at_the_end_of_the_first_look(write, monkeypatch):
    monkeypatch.setattr("jaxtrain.data.tables.sniffing._LOOK", 2)
    assert sniff(write("né,a\n")).encoding == "utf-8"


@pytest.mark.parametrize(
    ("text", "decimal"),
    [("a;b\n1,5;x\n", ","), ("a;b\n1.5;x\n", "."), ("a;b\n1.234,5;x\n", ","), ("a;b\n1;2\n", ".")],
)
def test_the_decimal_mark(write, text, decimal):
    assert sniff(write(text)).decimal == decimal
