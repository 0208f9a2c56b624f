"""Tests of jaxtrain.config.problems."""

from __future__ import annotations

import re

import pydantic
import pytest
from pydantic import Field

from jaxtrain.config import from_dict
from jaxtrain.config.problems import plain, problem_of, shown
from jaxtrain.config.schema import Section


class Inner(Section):
    size: int = Field(ge=1)


class Outer(Section):
    inner: Inner
    names: tuple[str, ...] = ()


def problems(tree):
    with pytest.raises(pydantic.ValidationError) as raised:
        Outer.model_validate(tree)
    return dict(problem_of(detail, Outer, tree) for detail in raised.value.errors())


@pytest.mark.parametrize(
    ("tree", "path", "says"),
    [
        ({"inner": {"size": 0}}, "inner.size", "expected a whole number of at least 1, found 0"),
        ({"inner": {}}, "inner.size", "missing; expected a whole number of at least 1"),
        (
            {"inner": {"size": 1, "sice": 2}},
            "inner.sice",
            "unknown key; did you mean 'size'? (known: size)",
        ),
        ({"inner": {"size": "3x"}}, "inner.size", "expected .*, found '3x'"),
        ({"inner": {"size": "3"}}, "inner.size", "'3', which is text; take away the quotes"),
        ({"inner": 3}, "inner", "found 3"),
        ({"inner": {"size": 1}, "names": ["a", 2]}, "names", r"found \['a', 2\]"),
    ],
)
def test_what_was_expected_and_what_was_found(tree, path, says):
    found = problems(tree)
    assert list(found) == [tuple(path.split("."))]
    (text,) = found.values()
    assert says in text or re.search(says, text)


def test_a_key_with_dots_is_in_nobodys_way():
    found = problems({"inner": {"size": 0}, "a.b": 1})
    assert set(found) == {("inner", "size"), ("a.b",)}


def test_values_are_shown_as_they_were_written():
    assert plain((from_dict({"a": {"b": 1}}), 2)) == ({"a": {"b": 1}}, 2)
    assert shown((1, 2)) == "[1, 2]"
    assert shown("x" * 100) == "'" + "x" * 76 + "..."
