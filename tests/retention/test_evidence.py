"""Tests of jaxtrain.retention.evidence."""

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.retention import RetentionMatrix, backward_transfer
from jaxtrain.retention.evidence import Evidence
from tests.retention.small import TASKS, drawn, matrix, questions


def evidence(built=None, **beside):
    return Evidence(built or matrix(), beside, seed=0, resamples=500)


def test_values_are_those_of_the_matrix():
    found = evidence()
    assert found.score(2, "a").value == 0.5
    assert found.nll(2, "a").value == matrix().rows[2]["a"].mean_nll()
    assert found.change("a", 3, since=1).value == -0.75
    assert found.nll_change("a", 3, since=1).value == pytest.approx(-1.0)
    assert found.examples() == {"a": 4, "b": 4, "c": 4, "text": 4}


def test_the_change_of_nothing_is_nothing():
    found = evidence()
    assert found.change("a", 1, since=1) == (0, 0, 0)
    assert found.nll_change("a", 1, since=1) == (0, 0, 0)


def test_what_is_beside_is_drawn_with_the_phases():
    """The same model once more: its loss is, in every draw, the same."""
    found = evidence(merged={"a": matrix().rows[3]["a"]})
    assert found.nll_change("a", "merged", since=3) == (0, 0, 0)
    assert found.score("merged", "a").value == 0.25
    assert found.has("merged", "a")
    assert found.has(3, "a", "merged")
    assert not found.has(3, "b", "merged")


def test_what_is_beside_changes_nothing_of_the_phases():
    alone, both = evidence(), evidence(merged=matrix().rows[3])
    np.testing.assert_allclose(alone.score(2, "a"), both.score(2, "a"), atol=1e-12)
    np.testing.assert_allclose(alone.nll(2, "a"), both.nll(2, "a"), atol=1e-12)


def test_what_is_beside_has_to_be_of_the_same_examples():
    with pytest.raises(DataError, match="merged: a: expected the same 4 examples as before"):
        evidence(merged={"a": questions(1, 5)})


def test_a_figure_reads_rows_and_tasks_in_the_order_given():
    found = evidence()

    def corner(r):
        return r[..., 0, 1]

    assert found.figure(corner, ["a", "b"], rows=[2, 1]).value == 0.75
    assert found.figure(corner, ["b", "a"], rows=[1, 2]).value == 1.0


def test_tasks_are_drawn_independently_of_each_other():
    """So the mean of four tasks is twice as sure as each of them."""
    rows = tuple({name: drawn(k, 100) for name in "abcd"} for k in (1, 2))
    built = RetentionMatrix(tasks=("a",), untrained=("b", "c", "d"), rows=rows)
    found = Evidence(built, {}, seed=0, resamples=2000)

    def mean(r):
        return r[..., 1, :].mean(-1)

    one, four = (found.figure(mean, tasks, rows=[0, 1]) for tasks in ("a", "abcd"))
    assert four.value == pytest.approx(one.value)
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(0.5, abs=0.07)


def test_a_figure_is_as_unsure_as_its_smallest_task():
    built = RetentionMatrix(
        tasks=("a", "b"),
        rows=tuple({"a": drawn(k, 1000), "b": drawn(k, 3)} for k in (1, 2, 3)),
    )
    found = Evidence(built, {}, seed=0, resamples=500)

    def only_a(r):
        return r[..., 0, 0]

    alone = found.figure(only_a, ["a"], rows=[0, 1, 2])
    with_b = found.figure(only_a, ["a", "b"], rows=[0, 1, 2])
    assert with_b.low < alone.low
    assert with_b.high > alone.high


def test_a_figure_of_the_matrix_is_the_formulas():
    values = matrix().values()[:, :3]
    assert evidence().figure(backward_transfer, TASKS, rows=range(4)).value == pytest.approx(
        backward_transfer(values)
    )
