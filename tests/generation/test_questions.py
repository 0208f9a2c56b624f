"""Multiple choice by likelihood: what is taken, how sure that is, and what is told of ties."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.generation import TokenQuestion, log_likelihoods, multiple_choice
from jaxtrain.models import Model, decoder


@pytest.fixture(scope="module")
def model(llama):
    params, config = llama
    return decoder(config), {"params": params}


def by_token(costs):
    """A model by which a token costs what is written, wherever it stands."""
    costs = jnp.asarray(costs, jnp.float32)
    return Model(
        init=lambda *_: {}, apply=lambda _, batch, **__: ({"nll": costs[batch["labels"]]}, {})
    )


@pytest.fixture(scope="module")
def questions():
    """Two to five choices, of one to thirty tokens."""
    random = np.random.default_rng(0)

    def tokens(most):
        return random.integers(0, 96, random.integers(1, most + 1)).tolist()

    return [
        TokenQuestion(tokens(40), [tokens(30) for _ in range(count)], int(random.integers(count)))
        for count in random.integers(2, 6, 12)
    ]


def test_the_scores_are_those_of_each_choice(model, questions):
    found = multiple_choice(*model, questions)
    assert len(found.answered) == len(questions)
    for question, one in zip(questions, found.answered, strict=True):
        expected = log_likelihoods(*model, [(question.prompt, c) for c in question.choices])
        assert one.log_likelihoods == tuple(expected)
        lengths = [len(choice) for choice in question.choices]
        np.testing.assert_allclose(one.per_length, np.divide(expected, lengths), rtol=1e-12)
        assert (one.raw, one.answer) == (int(np.argmax(expected)), question.answer)
        assert one.normalised == int(np.argmax(np.divide(expected, lengths)))
    hits = sum(
        one.raw == question.answer for one, question in zip(found.answered, questions, strict=True)
    )
    assert found.raw == (hits, len(questions))
    assert {one.raw == one.normalised for one in found.answered} == {True, False}


def test_a_question_does_not_depend_on_the_others(model, questions):
    together = multiple_choice(*model, questions, batch_tokens=256)
    for number, question in enumerate(questions[:4]):
        alone = multiple_choice(*model, [question], batch_tokens=256)
        assert alone.answered[0] == together.answered[number]
    backwards = multiple_choice(*model, questions[::-1], batch_tokens=256)
    assert backwards.answered[::-1] == together.answered


def test_long_choices_are_less_likely_but_not_by_length():
    model = by_token([0.0, 1.0, 2.0])
    found = multiple_choice(model, {}, [TokenQuestion([0], [[1, 1, 1], [2]], answer=0)])
    assert found.answered[0].log_likelihoods == (-3.0, -2.0)
    assert found.answered[0].per_length == (-1.0, -2.0)
    assert (found.raw.hits, found.normalised.hits) == (0, 1)


def test_lengths_of_ones_own():
    model = by_token([0.0, 1.0, 2.0])
    question = TokenQuestion([0], [[1, 1, 1], [2]], answer=1, lengths=[3, 12])
    found = multiple_choice(model, {}, [question])
    assert found.answered[0].per_length == (-1.0, -2 / 12)


def test_of_equal_choices_the_first_is_taken_and_it_is_told():
    model = by_token([0.0, 1.0, 1.0, 9.0])
    asked = [
        TokenQuestion([0], [[3], [1], [2]], answer=1),
        TokenQuestion([0], [[3], [1], [2]], answer=2),
        TokenQuestion([0], [[3], [1, 1], [2, 1]], answer=1),
        TokenQuestion([0], [[1], [1, 1], [3]], answer=0),
    ]
    found = multiple_choice(model, {}, asked)
    assert [one.raw for one in found.answered] == [1, 1, 1, 0]
    assert (found.raw_ties, found.normalised_ties) == (3, 4)
    assert found.figures() == {
        "questions": 4,
        "questions_cut": 0,
        "accuracy": 0.75,
        "accuracy_low": pytest.approx(0.3006, abs=1e-4),
        "accuracy_high": pytest.approx(0.9544, abs=1e-4),
        "accuracy_ties": 3,
        "normalised_accuracy": 0.75,
        "normalised_accuracy_low": pytest.approx(0.3006, abs=1e-4),
        "normalised_accuracy_high": pytest.approx(0.9544, abs=1e-4),
        "normalised_accuracy_ties": 4,
    }


@pytest.mark.parametrize("padding", [0, 1, 5, 60])
def test_the_same_choice_twice_is_a_tie_wherever_it_stands(model, padding):
    """To the bit: else which of them is taken would hang on the rows of a batch."""
    filling = TokenQuestion([1, 2], [[3], [4, 5]], answer=0)
    twice = TokenQuestion([7, 8, 9], [[10, 11], [12, 13], [10, 11]], answer=0)
    found = multiple_choice(*model, [filling] * padding + [twice], batch_tokens=64)
    scores = found.answered[-1].log_likelihoods
    assert scores[0] == scores[2]


GOOD = TokenQuestion([1], [[2], [3]], answer=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": []}, "question 1: prompt: is empty"),
        ({"choices": [[2]]}, "question 1: expected at least two choices, found 1"),
        ({"choices": [[2], []]}, "question 1: choice 1: is empty"),
        ({"answer": 2}, "question 1: answer: expected 0 to 1, found 2"),
        ({"answer": -1}, "question 1: answer: expected 0 to 1, found -1"),
        ({"lengths": [1]}, "question 1: lengths: expected 2, one a choice, found 1"),
        ({"lengths": [1, 0]}, "question 1: lengths: expected numbers above 0"),
        ({"lengths": [1, float("nan")]}, "question 1: lengths: expected numbers above 0"),
    ],
)
def test_what_is_no_question_is_told(model, changed, message):
    with pytest.raises(DataError, match=message):
        multiple_choice(*model, [GOOD, dataclasses.replace(GOOD, **changed)])


def test_no_questions(model):
    with pytest.raises(DataError, match="questions: expected at least one"):
        multiple_choice(*model, [])


def test_one_that_is_too_long(model):
    with pytest.raises(ConfigError, match="has 11 tokens, more than the model is meant for"):
        multiple_choice(*model, [TokenQuestion([1] * 10, [[2], [3]], 0)], max_length=10)


def test_of_one_that_is_too_long_the_end_can_be_asked(model):
    """For all choices the same end, behind which the longest of them fits."""
    long = TokenQuestion([4, 5, 1, 2, 3], [[2], [3, 3]], 0)
    same = TokenQuestion([2, 3], [[2], [3, 3]], 0)
    fits = TokenQuestion([2, 3], [[4], [5, 5]], 0)
    found = multiple_choice(*model, [long, fits], max_length=4, too_long="cut")
    assert found.answered == multiple_choice(*model, [same, fits]).answered
    assert (found.cut, found.figures()["questions_cut"]) == (1, 1)
    whole = multiple_choice(*model, [long, fits], max_length=7, too_long="cut")
    assert whole.cut == 0
    with pytest.raises(ConfigError, match="has 5 tokens, more than the model is meant for"):
        multiple_choice(
            *model, [TokenQuestion([1, 1], [[2] * 4, [3]], 0)], max_length=4, too_long="cut"
        )
