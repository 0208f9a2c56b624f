"""Tests of jaxtrain.retention.baseline."""

import json
import math

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.retention import Baseline


def test_the_commonest_answer_and_chance():
    assert Baseline.of_answers([2, 2, 0, 1, 2], choices=4) == Baseline(majority=0.6, random=0.25)
    assert Baseline.of_answers(np.array(["b", "a", "b"]), choices=2).majority == 2 / 3


def test_each_question_may_have_choices_of_its_own():
    assert Baseline.of_answers([0, 1], choices=[2, 4]).random == (1 / 2 + 1 / 4) / 2
    assert Baseline.of_answers([0, 1], choices=np.array([2, 4])).random == (1 / 2 + 1 / 4) / 2


def test_the_better_of_the_two():
    assert Baseline(majority=0.3, random=0.25).best == 0.3
    assert Baseline(majority=0.2, random=0.25).best == 0.25


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, "0.5", None, True, 10**400])
def test_what_is_no_share_is_refused(bad):
    with pytest.raises(DataError, match="random: expected a number from 0 to 1, found"):
        Baseline(majority=0.5, random=bad)
    with pytest.raises(DataError, match="majority: expected a number from 0 to 1, found"):
        Baseline(majority=bad, random=0.5)


@pytest.mark.parametrize(
    ("answers", "choices", "says"),
    [
        ([], 4, "answers: expected at least one, found none"),
        ([0, 1], [4], "choices: expected whole numbers above 0"),
        ([0, 1], 0, "choices: expected whole numbers above 0"),
        ([0, 1], 2.5, "choices: expected whole numbers above 0"),
        ([0, 1], [[2, 2]], "choices: expected whole numbers above 0"),
    ],
)
def test_what_is_no_question_is_refused(answers, choices, says):
    with pytest.raises(DataError, match=says):
        Baseline.of_answers(answers, choices=choices)


def test_json_holds_every_bit():
    baseline = Baseline(majority=0.1 + 0.2, random=0.25)
    assert Baseline.from_json(json.loads(json.dumps(baseline.to_json()))) == baseline
    for record in (None, {"majority": 0.5}, {"majority": 0.5, "random": 0.5, "more": 1}):
        with pytest.raises(DataError, match="a baseline: expected majority and random"):
            Baseline.from_json(record)
