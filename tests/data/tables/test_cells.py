"""The rows of a piece of text, and their lines."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables.cells import lines_in, rows_of


def rows(text, delimiter=","):
    return [(row.line, row.cells) for row in rows_of(text, delimiter)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
        ("a,b\r\n\r\n1,2", [(1, ["a", "b"]), (3, ["1", "2"])]),
        ("a\r1\r", [(1, ["a"]), (2, ["1"])]),
        ('"x\ny",2\n3,4\n', [(1, ["x\ny", "2"]), (3, ["3", "4"])]),
        ('1,  "x, y" ,2\n', [(1, ["1", "x, y ", "2"])]),
        ('"a ""b"""c,5" d\n', [(1, ['a "b"c', '5" d'])]),
        ('"open,\nx', [(1, ["open,\nx"])]),
        ("", []),
    ],
)
def test_rows(text, found):
    assert rows(text) == found


def test_other_delimiters():
    assert rows('a;"b;c"\n', ";") == [(1, ["a", "b;c"])]
    assert rows("a\t b\t\n", "\t") == [(1, ["a", " b", ""])]
    assert rows("a^b]c\n", "^") == [(1, ["a", "b]c"])]


def test_where_the_next_row_begins():
    text = 'a,"x\ny"\r\nb\n'
    assert [text[: row.end] for row in rows_of(text, ",")] == ['a,"x\ny"\r\n', text]
    assert [row.line for row in rows_of(text, ",", line=7)] == [7, 9]


def test_lines():
    assert lines_in("a\r\nb\rc\nd") == lines_in(b"a\r\nb\rc\nd") == 3
