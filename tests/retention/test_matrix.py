"""Tests of jaxtrain.retention.matrix."""

import json

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.retention import RetentionMatrix
from tests.retention.small import TABLE, TASKS, matrix, questions


def test_values_are_means_by_row_and_column():
    values = matrix().values()
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, np.array([*TABLE.values()]).T / 4)
    np.testing.assert_allclose(matrix().nlls()[:, 0], [3.015, 2.515, 2.015, 1.515])
    assert matrix().names == ("a", "b", "c", "text")


def test_what_was_not_evaluated_is_nan():
    some = RetentionMatrix(tasks=("a", "b"), rows=({"a": questions(1)}, {"b": questions(3)}))
    np.testing.assert_array_equal(some.values(), [[0.25, np.nan], [np.nan, 0.75]])
    assert np.isnan(some.nlls()).tolist() == [[False, True], [True, False]]


def test_rows_come_one_by_one_and_bit_by_bit():
    whole, built = (
        matrix(),
        RetentionMatrix(tasks=TASKS, untrained=("text",), phases=("first", "second", "third")),
    )
    assert built.phases_done == 0
    for number, row in enumerate(whole.rows):
        for name, scores in row.items():
            before = built
            built = built.with_row(number, {name: scores})
            assert name not in (before.rows[number] if number < len(before.rows) else ())
        assert built.phases_done == number
    assert built == whole


def test_a_row_that_is_scored_again_must_say_the_same():
    """As in a phase that was killed, and is done again."""
    once = matrix(1)
    assert once.with_row(1, once.rows[1]) == once
    with pytest.raises(DataError, match="row 1: a: was scored before, with another result"):
        once.with_row(1, {"a": questions(0)})


@pytest.mark.parametrize("number", [-1, 3])
def test_rows_come_in_their_order(number):
    with pytest.raises(DataError, match=f"row {number}: expected one of 0 to 2"):
        matrix(1).with_row(number, {})


def test_phases_have_the_names_of_their_tasks_by_default():
    assert RetentionMatrix(tasks=("a", "b")).phase_names == ("a", "b")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tasks": ()}, "phases: expected one a task, at least one"),
        ({"tasks": ("a", "a")}, "tasks: 'a' is there 2 times"),
        ({"untrained": ("a",)}, "tasks and untrained: 'a' is there 2 times"),
        ({"tasks": "ab"}, "tasks: expected several names, found the text 'ab'"),
        ({"tasks": ("a", "")}, "tasks: expected names that can be printed, found ''"),
        ({"phases": ("x",)}, "found 1 phases and 2 tasks"),
        ({"phases": ("x", "x")}, "phases: 'x' is there 2 times"),
        ({"rows": ({}, {}, {}, {})}, "rows: expected at most 3"),
        ({"rows": ({"c": questions(1)},)}, r"row 0: 'c' is no task here \(there are a, b\)"),
        ({"rows": ({"a": 0.5},)}, "row 0: a: expected TaskScores, found 0.5"),
        (
            {"rows": ({"a": questions(1)}, {}, {"a": questions(1, 5)})},
            "row 2: a: expected the same 4 examples as before, found 5",
        ),
    ],
)
def test_what_is_no_matrix_is_refused(options, says):
    with pytest.raises(DataError, match=says):
        RetentionMatrix(**{"tasks": ("a", "b")} | options)


def test_a_row_is_a_copy():
    row = {"a": questions(1)}
    built = RetentionMatrix(tasks=("a",), rows=(row,))
    row["a"] = questions(4)
    assert built.rows[0]["a"] == questions(1)


def test_upto_is_what_was_known_then():
    then = matrix().upto(2)
    assert then.tasks == ("a", "b")
    assert then.phase_names == ("first", "second")
    assert then.names == ("a", "b", "text")
    np.testing.assert_array_equal(then.values(), matrix().values()[:3][:, [0, 1, 3]])
    for phases in (0, 4):
        with pytest.raises(DataError, match=f"phases: expected 1 to 3, found {phases}"):
            matrix().upto(phases)


def test_references_are_each_tasks_own_phase_and_the_base():
    rows = matrix().rows
    assert matrix().references() == {
        "a": rows[1]["a"],
        "b": rows[2]["b"],
        "c": rows[3]["c"],
        "text": rows[0]["text"],
    }
    assert set(matrix(1).references()) == {"a", "text"}, "the others are not trained yet"
    assert RetentionMatrix(tasks=("a",)).references() == {}
    holed = RetentionMatrix(tasks=("a", "b"), rows=({}, {"b": questions(1)}))
    assert holed.references() == {}


def test_json_holds_every_bit():
    for built in (matrix(), matrix(1), RetentionMatrix(tasks=("a",))):
        text = json.dumps(built.to_json(), allow_nan=False)
        again = RetentionMatrix.from_json(json.loads(text))
        assert again == built
        assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"rows": None},
        {"rows": [[]]},
        {"rows": [{"a": {}}]},
        {"tasks": "a"},
        {"tasks": [["a"]]},
        {"more": 1},
    ],
)
def test_other_json_is_refused(change):
    with pytest.raises(DataError):
        RetentionMatrix.from_json(matrix().to_json() | change)
    with pytest.raises(DataError, match="a retention matrix: expected version 1, found"):
        RetentionMatrix.from_json([])
