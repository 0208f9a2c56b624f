"""Tests of jaxtrain.retention.report: figures by hand."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.errors import DataError
from jaxtrain.retention import Baseline, RetentionMatrix, RetentionReport, TaskScores
from jaxtrain.retention.transfer import FORMULAS
from tests.retention.small import drawn, matrix, questions


def report(built=None, **options):
    return RetentionReport.of(built or matrix(), **{"resamples": 300} | options)


def test_figures_are_those_of_the_formulas():
    """By hand: see the table in test_transfer.py."""
    found = report()
    for name, value in {
        "average_accuracy": 7 / 12,
        "backward_transfer": -0.5,
        "forgetting": 0.5,
        "forward_transfer": 0.125,
        "general_ability": -0.25,
    }.items():
        figure = getattr(found, name)
        assert figure.value == pytest.approx(value), name
        assert figure.low < value < figure.high
    assert found.tasks == ("a", "b", "c")
    assert found.phases == ("first", "second", "third")
    assert found.examples == {"a": 4, "b": 4, "c": 4, "text": 4}


def test_per_task_values_and_what_became_of_them():
    found = report()
    assert [row["b"].value for row in found.scores] == [0.5, 0.25, 0.75, 0.5]
    assert [row["text"].value for row in found.nlls] == pytest.approx([3.015, 2.515, 2.015, 1.515])
    assert {n: c.value for n, c in found.changes.items()} == {"a": -0.75, "b": -0.25, "text": -0.25}
    assert {n: g.value for n, g in found.gains.items()} == {"a": 0.75, "b": 0.25, "c": 1.0}
    assert found.nll_changes["a"].value == pytest.approx(-1.0)
    assert found.nll_changes["text"].value == pytest.approx(-1.5)
    assert found.control_loss is None
    assert report(control="text").control_loss == found.nll_changes["text"]
    assert report(control="b").control_loss.value == pytest.approx(-1.5), "against the base model"


def test_one_phase_has_no_transfer_and_says_so():
    found = report(matrix(1))
    assert found.average_accuracy.value == 1
    assert found.general_ability.value == 0
    assert found.backward_transfer is found.forgetting is found.forward_transfer is None
    assert "no backward transfer: it takes two phases" in found.notes
    assert found.changes.keys() == {"text"}


def test_the_report_is_on_the_phases_that_are_done():
    baselines = {name: Baseline(majority=0.5, random=0.25) for name in "abc"}
    rows = matrix().rows[2]
    found = report(matrix(2), baselines=baselines, merged=rows, joint=rows, control="c")
    assert found.tasks == ("a", "b")
    assert found.notes[0] == "not trained yet: third"
    assert found.backward_transfer.value == pytest.approx(-0.5)
    assert found.baselines.keys() == {"a", "b"}
    assert found.merged.scores.keys() == {"a", "b", "text"}
    assert found.control_loss is None
    assert all(row.keys() == {"a", "b", "text"} for row in found.scores)


@pytest.mark.parametrize("rows", [(), ({"a": questions(1)},)])
def test_no_phase_has_no_report(rows):
    with pytest.raises(DataError, match=f"at least one phase, found {len(rows)} rows"):
        report(RetentionMatrix(tasks=("a",), rows=rows))


@pytest.mark.parametrize(
    "options",
    [
        {"baselines": {"d": Baseline(majority=0.5, random=0.5)}},
        {"merged": {"d": questions(1)}},
        {"joint": {"d": questions(1)}},
        {"control": "d"},
    ],
)
def test_a_task_that_nobody_named_is_told(options):
    (what,) = options
    with pytest.raises(DataError, match=rf"{what}: 'd' is no task here \(there are a, b, c, text"):
        report(**options)


def test_a_task_that_was_not_evaluated_has_no_figure():
    """All tasks so far and the untrained: what a run does that saves time."""
    built = matrix()
    rows = [dict(row) for row in built.rows]
    for k, row in enumerate(rows[1:], start=1):
        for name in built.tasks[k:]:
            del row[name]
    found = report(
        RetentionMatrix(tasks=built.tasks, untrained=("text",), phases=built.phases, rows=rows)
    )
    assert found.forward_transfer is None
    assert "no forward transfer: not evaluated: b after first, c after second" in found.notes
    assert found.forgetting.value == pytest.approx(0.5), "the best of what was evaluated"
    assert "forgetting: the best of what was evaluated; not evaluated: b after first" in found.notes
    assert found.average_accuracy.value == pytest.approx(7 / 12)
    assert found.scores[1].keys() == {"a", "text"}


def test_a_last_row_with_a_hole_has_no_average():
    built = matrix()
    rows = [*built.rows[:3], {n: s for n, s in built.rows[3].items() if n not in ("a", "text")}]
    found = report(RetentionMatrix(tasks=built.tasks, untrained=("text",), rows=rows))
    assert [getattr(found, name) for name in FORMULAS if name != "forward_transfer"] == [None] * 4
    assert "no average accuracy: not evaluated: a after c" in found.notes
    assert "no general ability: not evaluated: text after c" in found.notes
    assert found.changes.keys() == {"b"}


def test_four_questions_decide_nothing_and_400_do():
    few = report()
    assert few.changes["a"].value == -0.75
    assert few.forgotten() == {"a": False, "b": False, "text": False}
    assert few.verdicts()["a"] == "undecided"
    rows = tuple(
        {n: TaskScores(np.tile(s.score, 100), np.tile(s.nll, 100)) for n, s in row.items()}
        for row in matrix().rows
    )
    many = report(RetentionMatrix(tasks=("a", "b", "c"), untrained=("text",), rows=rows))
    assert many.changes["a"].value == -0.75
    assert many.forgotten() == {"a": True, "b": True, "text": True}
    assert many.forgotten(0.5) == {"a": True, "b": False, "text": False}
    assert many.verdicts(0.5)["b"] == "kept"


def test_the_same_scores_and_seed_give_the_same_report():
    assert report() == report()
    assert report(seed=1) != report()
    assert report(seed=1).changes["a"].value == report().changes["a"].value


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_examples_changes_nothing(random):
    order = [*range(30)]
    random.shuffle(order)
    rows = [{n: drawn(7 * k + i, 30) for i, n in enumerate("abt")} for k in range(3)]
    shuffled = [
        {n: TaskScores(s.score[order], s.nll[order]) for n, s in row.items()} for row in rows
    ]
    one, other = (
        report(RetentionMatrix(tasks=("a", "b"), untrained=("t",), rows=each), resamples=100)
        for each in (rows, shuffled)
    )
    assert one == other
    assert json.dumps(one.to_json()) == json.dumps(other.to_json())


def test_a_row_filled_in_another_order_gives_the_same_bytes():
    built = matrix()
    rows = [dict(reversed(row.items())) for row in built.rows]
    again = RetentionMatrix(tasks=built.tasks, untrained=("text",), phases=built.phases, rows=rows)
    assert json.dumps(report(again).to_json()) == json.dumps(report().to_json())


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2), st.integers(1, 4), st.integers(0, 1000))
def test_of_any_matrix_the_figures_lie_in_their_intervals(number, suites, phases, seed):
    tasks = tuple("abcd"[:phases])
    untrained = tuple(f"t{i}" for i in range(suites))
    rows = tuple(
        {n: drawn(seed + 100 * k + i, number) for i, n in enumerate((*tasks, *untrained))}
        for k in range(phases + 1)
    )
    found = report(RetentionMatrix(tasks=tasks, untrained=untrained, rows=rows), resamples=100)
    figures = [getattr(found, name) for name in FORMULAS]
    figures += [e for row in (*found.scores, *found.nlls, found.changes) for e in row.values()]
    for one in figures:
        assert one is None or one.low <= one.value <= one.high
    if phases > 1:
        assert found.forgetting.value >= -found.backward_transfer.value - 1e-12
    assert RetentionReport.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.text()
