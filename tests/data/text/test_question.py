from __future__ import annotations

import pytest

from jaxtrain.data.text.question import Question, QuestionForm
from jaxtrain.data.text.records import Record
from jaxtrain.data.text.template import Template
from jaxtrain.errors import ConfigError, DataError

VALUES = {
    "q": "2 + 2 =",
    "a": "3",
    "b": "4",
    "c": "4",
    "lines": "A. three\nB. four\n",
    "list": ["three", "four"],
    "one": ["three"],
    "letter": " B",
    "zero": "1",
    "first": " 2 ",
    "number": 1,
    "text": "four",
    "line": "B. four",
    "four": "4",
}


def form(choices=("a", "b"), answer="letter", answer_is="letter", choice=" {choice}"):
    return QuestionForm(
        Template("{q}", option="data.prompt"),
        choices,
        Template(choice, option="data.choice"),
        answer,
        answer_is,
    )


def question(**options):
    return form(**options).question(Record("f, line 2", VALUES))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"answer": "zero", "answer_is": "number_from_0"},
        {"answer": "number", "answer_is": "number_from_0"},
        {"answer": "first", "answer_is": "number_from_1"},
        {"answer": "four", "answer_is": "text"},
    ],
)
def test_ways_to_say_which_is_right(options):
    assert question(**options) == Question("2 + 2 =", (" 3", " 4"), 1)


def test_choices_in_one_field():
    assert question(choices=("list",)).choices == (" three", " four")
    assert question(choices=("list",), answer="text", answer_is="text").answer == 1
    lines = question(choices=("lines",), answer="line", answer_is="text")
    assert (lines.choices, lines.answer) == ((" A. three", " B. four"), 1)


def test_what_stands_behind_the_prompt():
    assert question(choice=" {letter}").choices == (" A", " B")
    assert question(choice="{number}) {choice}").choices == ("1) 3", "2) 4")
    piece = form(choice=" {letter}").piece(Record("f", VALUES))
    assert (piece.prompt, piece.text, piece.last) == ("2 + 2 =", " B", True)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"answer": "zero"}, r"'zero': expected A, B, found '1' \(data\.answer_is is letter\)"),
        ({"answer_is": "number_from_1"}, "expected 1, 2, found 'B'"),
        ({"answer": "number", "answer_is": "text"}, "expected the text of one choice, found '1'"),
        ({"choices": ("a", "b", "c"), "answer": "four", "answer_is": "text"}, "the text of one"),
        ({"choices": ("one",)}, "expected from 2 to 26 choices, found 1"),
        ({"choices": ("list", "a")}, "'list': expected text"),
    ],
)
def test_records_that_are_no_question(options, why):
    with pytest.raises(DataError, match=rf"f, line 2: .*{why}"):
        question(**options)


def test_forms_that_are_none():
    with pytest.raises(ConfigError, match=r"data\.choices: expected the names of fields"):
        form(choices=())
    with pytest.raises(ConfigError, match=r"data\.choice: '\{a\}': expected choice, letter or num"):
        form(choice="{a}")
    with pytest.raises(ConfigError, match="has no 'lettr'; did you mean 'letter'"):
        question(answer="lettr")


def test_the_words_tell_forms_apart():
    forms = [form(), form(answer="x"), form(choices=("a",)), form(choice="x"), form()]
    assert len({one.words() for one in forms}) == 4
