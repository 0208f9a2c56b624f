"""What a source refuses to decide, and what it tells."""

from __future__ import annotations

import logging

import pytest

from jaxtrain.data.tables import kind_of
from jaxtrain.data.tables.plainness import refuse_unclear, tell_of
from jaxtrain.errors import ConfigError, DataError


@pytest.fixture
def column(read):
    def of(*cells):
        table = read("\n".join(["a,b", *(f'"{cell}",x' for cell in cells)]))
        return table, kind_of(table, "a", missing=("?", ""))

    return of


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1,000", "2"], [r'data\.thousands=","', r'data\.categorical=\["a"\]', r"data\.drop"]),
        (["1,5", "2"], [r'data\.decimal=","']),
        (["1.234,5"], [r'data\.decimal="," data\.thousands="\."']),
        (["2024-01-02"], [r'data\.dates=\["a"\]', r"data\.drop"]),
        (["3/4/2024"], [r"data\.dates", r"data\.day_first"]),
    ],
)
def test_what_may_be_meant_in_two_ways_is_a_matter_of_the_config(column, cells, words):
    """Seen: "1,000" and "5%" became one-hot features, unannounced."""
    with pytest.raises(ConfigError, match=r"t\.csv: column 'a': ") as caught:
        refuse_unclear(*column(*cells))
    for word in words:
        caught.match(word)


def test_numbers_and_text_in_one_column_have_a_place(column):
    with pytest.raises(DataError) as caught:
        refuse_unclear(*column("1", "2", "abc", "4"))
    caught.match(r"t\.csv:4: column 'a': 'abc' is not a number, but 3 other cells of this column")
    caught.match(r"data\.missing .* data\.categorical")


def test_a_target_that_is_no_number(column):
    with pytest.raises(DataError, match=r"expected numbers to predict.*task=classification"):
        refuse_unclear(*column("x", "y"), is_target=True)
    with pytest.raises(ConfigError, match=r'data\.thousands=","$'):
        refuse_unclear(*column("1,000"), is_target=True)


@pytest.mark.parametrize("cells", [["1", "2"], ["5%", "6%"], ["a", "b"], ["?", "?"], ["a", "a"]])
def test_what_is_plain(column, cells):
    refuse_unclear(*column(*cells))


@pytest.mark.parametrize(
    ("cells", "level", "words"),
    [
        (["5%", "6%"], logging.INFO, "with the sign %"),
        (["7", "7"], logging.INFO, "7 in every row: nothing can be learnt"),
        (["?", "?"], logging.INFO, "every cell is missing"),
        ([f"id{n}" for n in range(30)], logging.WARNING, 'set data.drop=["a"]'),
        ([f"{n}" for n in range(30)], logging.WARNING, "counts the rows from 0 to 29"),
    ],
)
def test_what_is_told(column, caplog, cells, level, words):
    caplog.set_level(logging.INFO, "jaxtrain")
    tell_of(*column(*cells))
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()


def test_nothing_is_told_of_numbers_and_categories(column, caplog):
    caplog.set_level(logging.INFO, "jaxtrain")
    tell_of(*column("1", "2"))
    tell_of(*column("a", "b", "a"))
    assert not caplog.records
