"""Blocks of whole rows. That they are whatever stands in the file, tests/fuzz asks."""

from __future__ import annotations

import pytest

from jaxtrain.data.tables import Dialect
from jaxtrain.data.tables.blocks import blocks
from jaxtrain.errors import DataError


def pieces(path, **options):
    return [(block.line, block.rows.decode()) for block in blocks(path, Dialect(), **options)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("exact_from", [0, 1000])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_blocks_end_with_rows_and_lose_nothing(write, exact_from, ending):
    text = ending.join(f"{number},x" for number in range(60)) + ending
    found = pieces(write(text), exact_from=exact_from)
    assert len(found) > 3
    assert "".join(rows for _, rows in found) == text + "\n"
    first = [(line, rows.split(",")[0].strip()) for line, rows in found]
    assert all(line == int(number) + 1 for line, number in first)


@pytest.mark.usefixtures("small_blocks")
def test_an_exact_block_never_ends_in_a_quoted_cell(write):
    row = '5","u\nv",w\n'
    found = pieces(write(row * 20))
    assert len(found) > 3
    assert all(rows.strip().startswith('5"') for _, rows in found if rows.strip())


def test_blanks_before_quotes_are_taken_away_where_they_are_exact(write):
    path = write('1,  "x,  ""y" , "z"\n2, a "b"\n')
    (block,) = blocks(path, Dialect())
    assert block.rows == b'1,"x,  ""y" ,"z"\n2, a "b"\n\n'
    assert block.was_blanked
    (block,) = blocks(path, Dialect(), exact_from=1)
    assert block.rows.startswith(b'1,  "x')
    assert not block.is_exact


def test_a_quote_that_is_never_closed(write):
    with pytest.raises(DataError, match=r"t\.csv:2: not CSV: a quote is opened and never closed"):
        pieces(write('a,b\n1,"x\n2,y\n'))


def test_a_row_without_an_end(write, monkeypatch):
    monkeypatch.setattr("jaxtrain.data.tables.blocks._LONGEST_ROW", 100)
    monkeypatch.setattr("jaxtrain.data.tables.opening._PIECE", 64)
    monkeypatch.setattr("jaxtrain.data.tables.blocks._SIZE", 64)
    with pytest.raises(DataError, match=r"t\.csv:2: a row larger than 100 bytes"):
        pieces(write("a\n" + "x" * 500))
