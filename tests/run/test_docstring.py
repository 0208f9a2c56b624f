"""Docstrings, taken apart."""

from __future__ import annotations

import pytest

from jaxtrain.run.docstring import Docstring

WHOLE = """Squares.

Of all that there are: some.

It does no more.

Args:
    x: what is squared; see
        https://example.com: there
    *rest: more, with a list:
        - one
        - two

    plain (int): typed.
    bare:
        what stands on the next line.
        Raises: is no section here.

Raises:
    y: not an argument.

>>> squares(3)
9
"""


def test_its_parts():
    said = Docstring.of(WHOLE)
    assert said.summary == "Squares."
    assert said.text == "Of all that there are: some.\n\nIt does no more."
    assert said.arguments == {
        "x": "what is squared; see https://example.com: there",
        "rest": "more, with a list: - one - two",
        "plain": "typed.",
        "bare": "what stands on the next line. Raises: is no section here.",
    }


def test_paragraphs_are_lines_and_lists_stay_as_they_are():
    said = Docstring.of(
        "One.\n\nIt goes\non.\n\nOf these:\n- a\n- b\n\nAs in::\n\n    x = 1\n    y"
    )
    assert said.text == "It goes on.\n\nOf these:\n- a\n- b\n\nAs in::\n\n    x = 1\n    y"


@pytest.mark.parametrize("doc", [None, ""])
def test_one_that_is_not_there_says_nothing(doc):
    assert Docstring.of(doc) == Docstring("", "", {})


def test_without_sections_all_of_it_is_text_but_examples_are_not():
    assert Docstring.of("One.\nmore\n\n>>> 1\n1") == Docstring("One.", "more", {})
    assert Docstring.of("One.\n\nReturns:\n    x: y").arguments == {}
