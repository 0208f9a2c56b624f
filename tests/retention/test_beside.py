"""Tests of jaxtrain.retention.beside."""

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.retention import Joint, Merged, TaskScores
from jaxtrain.retention.evidence import Evidence
from tests.retention.small import TASKS, matrix, questions

NAMES = (*TASKS, "text")


def evidence(**beside):
    return Evidence(matrix(), beside, seed=0, resamples=300)


def test_a_merged_model_that_says_the_same():
    merged = Merged.of(evidence(merged=matrix().rows[3]), NAMES, row=3)
    assert set(merged.scores) == set(NAMES)
    assert merged.scores["a"].value == 0.25
    assert merged.changes["a"].value == merged.nll_changes["a"].value == 0
    assert merged.largest == merged.largest_nll == 0


def test_the_largest_difference_is_that_of_one_example():
    """Two answers that change places: the mean is the same, the model is not."""
    rows = dict(matrix().rows[3])
    was = rows["b"]
    rows["b"] = TaskScores(was.score[::-1], was.nll + np.array([0, 0, -0.5, 0.125]))
    merged = Merged.of(evidence(merged=rows), NAMES, row=3)
    assert merged.changes["b"].value == 0
    assert merged.largest == 1
    assert merged.largest_nll == pytest.approx(0.5)
    assert merged.nll_changes["b"].value == pytest.approx(-0.375 / 4)


def test_a_loss_is_a_difference_as_well_as_a_gain():
    rows = {**matrix().rows[3], "b": questions(1, nll=1.0)}
    merged = Merged.of(evidence(merged=rows), NAMES, row=3)
    assert merged.changes["b"].value == -0.25
    assert merged.largest == 1
    assert merged.largest_nll == pytest.approx(0.5)


def test_what_is_scored_of_one_of_both_alone_is_told():
    with pytest.raises(DataError, match="merged: 'b' was scored of row 3 alone"):
        Merged.of(evidence(merged={"a": questions(1)}), NAMES, row=3)
    some = Evidence(matrix(2), {"merged": {"c": questions(1)}}, seed=0, resamples=300)
    with pytest.raises(DataError, match="merged: 'c' was scored of the merged model alone"):
        Merged.of(some, ("c",), row=3)
    with pytest.raises(DataError, match="merged: expected the scores of at least one task"):
        Merged.of(evidence(), (), row=3)


def test_a_joint_training_is_an_upper_bound_with_a_gap():
    rows = {"a": questions(4), "b": questions(3), "c": questions(4), "text": questions(2)}
    joint = Joint.of(evidence(joint=rows), TASKS, ("text",), row=3)
    assert joint.average.value == pytest.approx(11 / 12)
    # ACC is (1 + 2 + 4) / 12.
    assert joint.gap.value == pytest.approx(4 / 12)
    assert set(joint.scores) == set(joint.nlls) == {"a", "b", "c", "text"}
    assert joint.nlls["b"].value == pytest.approx(rows["b"].mean_nll())


def test_a_joint_training_of_which_a_task_is_missing_has_no_average():
    joint = Joint.of(evidence(joint={"a": questions(4)}), TASKS, ("text",), row=3)
    assert joint.scores.keys() == {"a"}
    assert joint.average is joint.gap is None
    rows = dict.fromkeys(TASKS, questions(4))
    joint = Joint.of(evidence(joint=rows), TASKS, (), row=4)
    assert joint.average.value == 1
    assert joint.gap is None, "there is no such row to compare with"
    with pytest.raises(DataError, match="joint: expected the scores of at least one task"):
        Joint.of(evidence(), TASKS, (), row=3)
