"""What a field takes, in words and out of text."""

from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic.fields import FieldInfo

from jaxtrain.config import OptimizerSection, TrainSection
from jaxtrain.config.fields import describe, fields_of, typed


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (Annotated[int, Field(ge=1, le=9)], "a whole number between 1 and 9"),
        (Annotated[float, Field(gt=0)], "a number above 0"),
        (Annotated[int, Field(multiple_of=8)], "a whole number divisible by 8"),
        (Annotated[str, Field(pattern="^a")], "text that matches ^a"),
        (int | None, "a whole number, or null"),
        (int | Literal["auto"], "a whole number, or 'auto'"),
        (tuple[int, ...], "a list, each item a whole number"),
        (Annotated[tuple[int, ...], Field(min_length=1)], "a list of at least 1, each item a w"),
        (tuple[float, float], "a list of 2: a number, a number"),
        (OptimizerSection, "a section"),
        (dict[str, int], "a section"),
    ],
)
def test_in_words(annotation, words):
    assert describe(FieldInfo.from_annotation(annotation)).startswith(words)


@pytest.mark.parametrize(
    ("value", "annotation", "text", "expected"),
    [
        (1e3, int, None, 1000),
        (1.5, int, None, 1.5),  # for the schema to refuse
        (1.0, float, None, 1.0),
        ("64", int, None, "64"),  # who quotes it in a file has said that it is text
        ("3e-4", float, "3e-4", 3e-4),
        (7, str, "007", "007"),
        (None, str | None, "null", None),
        (None, str, "null", "null"),
        (64, tuple[int, ...], "64", (64,)),
        ((64.0, 32), tuple[int, ...], "64.0,32", (64, 32)),
        (None, tuple[int, ...] | None, "null", None),
        ("fast", float, "fast", "fast"),
        ("even", Literal["even"] | tuple[float, ...] | None, "even", "even"),
        ("evne", Literal["even"] | tuple[float, ...] | None, "evne", "evne"),
        ((1, 2.5), Literal["even"] | tuple[float, ...] | None, "1,2.5", (1, 2.5)),
        (3, Literal["even"] | tuple[float, ...] | None, "3", (3,)),
        ("even", tuple[str, ...], "even", ("even",)),
        ("even", tuple[str, ...] | None, "even", ("even",)),
    ],
)
def test_out_of_text(value, annotation, text, expected):
    found = typed(value, annotation, text=text)
    assert found == expected
    assert type(found) is type(expected)


def test_the_fields_of_sections_and_of_nothing_else():
    assert "epochs" in fields_of(TrainSection)
    assert fields_of(int) is None
    assert fields_of(list[int]) is None
