"""Tests of jaxtrain.retention.notes."""

import pytest

from jaxtrain.retention import Baseline, RetentionMatrix, RetentionReport, TaskScores
from jaxtrain.retention.notes import why_not
from tests.retention.small import TASKS, matrix, questions


def without(*cells):
    """The matrix without some cells (row, name)."""
    built = matrix()
    rows = [
        {name: scores for name, scores in row.items() if (k, name) not in cells}
        for k, row in enumerate(built.rows)
    ]
    return RetentionMatrix(tasks=TASKS, untrained=("text",), rows=rows)


NEEDS = {
    "average_accuracy": {(3, "a"), (3, "b"), (3, "c")},
    "backward_transfer": {(1, "a"), (3, "a"), (2, "b"), (3, "b")},
    "forgetting": {(k, "a") for k in range(4)} | {(k, "b") for k in (0, 2, 3)},
    "forward_transfer": {(0, "b"), (1, "b"), (0, "c"), (2, "c")},
    "general_ability": {(0, "text"), (3, "text")},
}


@pytest.mark.parametrize("figure", NEEDS)
def test_a_figure_needs_just_the_cells_that_it_is_made_of(figure):
    assert why_not(figure, matrix()) is None
    for k in range(4):
        for name in matrix().names:
            why = why_not(figure, without((k, name)))
            assert (why is not None) == ((k, name) in NEEDS[figure]), (k, name)
            if why is not None:
                place = "of the base model" if k == 0 else f"after {TASKS[k - 1]}"
                assert why == f"not evaluated: {name} {place}"


def test_what_takes_two_phases_and_an_untrained_suite():
    assert why_not("general_ability", RetentionMatrix(tasks=("a",))) == (
        "there is no untrained suite"
    )
    for figure in ("backward_transfer", "forgetting", "forward_transfer"):
        assert why_not(figure, matrix().upto(1)) == "it takes two phases"


def notes(built, **options):
    return RetentionReport.of(built, resamples=100, **options).notes


def test_what_is_missing_is_told():
    told = notes(matrix())
    assert "no baseline was given for a, b, c, text" in told
    assert "the model was not scored merged, saved and loaded again" in told
    baselines = {name: Baseline(majority=0.0, random=0.0) for name in matrix().names}
    told = notes(matrix(), baselines=baselines, merged=matrix().rows[3])
    assert not [note for note in told if "baseline was given" in note or "merged" in note]
    assert (
        "no loss on the control text: text was not evaluated both of the base model and after c"
        in (notes(without((0, "text")), control="text"))
    )
    told = notes(matrix(), joint={"a": questions(4)})
    assert "no average of the joint training: it was not scored on b, c" in told


def test_what_was_never_learnt_is_told():
    """What is not above chance is nothing to forget."""
    still = {"a": questions(55, 100)}
    built = RetentionMatrix(tasks=("a",), rows=(still, still))
    baselines = {"a": Baseline(majority=0.5, random=0.25)}
    told = notes(built, baselines=baselines)
    assert "a: after its own phase not surely better than its baselines" in told
    assert "a: its own phase has not surely made it better than the base model" in told
    learnt = RetentionMatrix(tasks=("a",), rows=(still, {"a": questions(90, 100)}))
    assert not [note for note in notes(learnt, baselines=baselines) if note.startswith("a: ")]


def test_one_example_is_told():
    row = {"a": TaskScores([1], [1.0]), "b": questions(1)}
    told = notes(RetentionMatrix(tasks=("a",), untrained=("b",), rows=(row, row)))
    assert "of one example nothing says how sure its loss is: a" in told
