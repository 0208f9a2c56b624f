"""Tests of jaxtrain.retention.validation."""

import pytest

from jaxtrain import retention
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.retention import TaskScores
from tests.retention.small import drawn, questions

NOW = {"a": questions(40, 100), "b": questions(80, 100), "new": questions(50, 100)}
BEFORE = {"a": questions(90, 100), "b": questions(80, 100)}


def validated(tasks=NOW, before=BEFORE, evaluate=NOW.__getitem__):
    return retention.test_all_phases(evaluate, tasks, before=before, resamples=500)


def test_every_task_is_evaluated_once_in_its_order():
    asked = []

    def evaluate(name):
        asked.append(name)
        return NOW[name]

    report = validated(evaluate=evaluate)
    assert asked == ["a", "b", "new"]
    assert report.scores == NOW
    assert {n: m.value for n, m in report.means.items()} == {"a": 0.4, "b": 0.8, "new": 0.5}
    assert report.means["a"].low < 0.4 < report.means["a"].high


def test_changes_are_against_what_was():
    report = validated()
    assert report.changes.keys() == {"a", "b"}
    assert report.changes["a"].value == -0.5
    assert report.changes["a"].high < -0.3
    assert report.changes["b"].value == 0
    worse = {"a": questions(90, 100, nll=1.5)}
    report = validated(tasks=["a"], evaluate=worse.__getitem__)
    assert report.nll_changes["a"].value == pytest.approx(0.5)
    assert report.changes["a"].value == 0


def test_catastrophic_is_what_is_surely_more_than_the_threshold():
    report = validated()
    assert report.has_catastrophic_forgetting()
    assert report.has_catastrophic_forgetting(0.3)
    assert not report.has_catastrophic_forgetting(0.5), "that is not sure"
    assert report.verdicts(0.5)["a"] == "undecided"
    assert not validated(tasks=["b"]).has_catastrophic_forgetting()
    few = retention.test_all_phases(
        {"a": questions(0, 2)}.__getitem__, ["a"], before={"a": questions(2, 2)}
    )
    assert few.changes["a"].value == -1
    assert not few.has_catastrophic_forgetting(), "two questions are no proof"
    with pytest.raises(ConfigError, match="tolerance: expected a score from 0 to 1"):
        report.has_catastrophic_forgetting(5)


def test_nothing_to_compare_with_is_no_all_clear():
    for before in (None, {}, {"other": questions(1)}):
        report = validated(before=before)
        assert report.changes == {}
        assert "nothing to compare with: a, b, new" in report.text()
        with pytest.raises(ConfigError, match="no task has scores to compare with; give"):
            report.has_catastrophic_forgetting()


def test_print_says_all_of_it(capsys):
    report = validated()
    report.print()
    said = capsys.readouterr().out
    assert said == report.text() + "\n"
    for word in ("a  ", "40.0 [", "forgotten, more than 5 points?", "-50.0 ["):
        assert word in said
    assert "nothing to compare with: new" in said
    assert "forgotten?" in report.text(0.0)


def test_the_same_scores_give_the_same_report():
    before = {"a": drawn(1, 50)}
    reports = [
        validated(tasks=["a"], before=before, evaluate=lambda name: drawn(2, 50)) for _ in range(2)
    ]
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("tasks", "evaluate", "says"),
    [
        ([], NOW.__getitem__, "tasks: expected at least one"),
        ("ab", NOW.__getitem__, "tasks: expected several names"),
        (["a", "a"], NOW.__getitem__, "tasks: 'a' is there 2 times"),
        (["a"], lambda name: 0.5, r"evaluate\('a'\): expected TaskScores, found 0.5"),
        (["a"], lambda name: questions(1), "a: expected the same 100 examples as before, found 4"),
    ],
)
def test_what_can_not_be_compared_is_told(tasks, evaluate, says):
    with pytest.raises(DataError, match=says):
        validated(tasks=tasks, evaluate=evaluate)


def test_what_evaluate_raises_comes_through():
    def evaluate(name):
        raise OSError("no such model")

    with pytest.raises(OSError, match="no such model"):
        validated(evaluate=evaluate)


def test_pytest_does_not_take_it_for_a_test():
    assert retention.test_all_phases.__test__ is False


def test_it_agrees_with_the_report_of_the_matrix():
    """Both ask of the same examples, so both must say the same of them."""
    rows = [{"a": drawn(k, 60), "b": drawn(9 + k, 60)} for k in range(3)]
    matrix = retention.RetentionMatrix(tasks=("a", "b"), rows=rows)
    whole = retention.RetentionReport.of(matrix)
    report = retention.test_all_phases(rows[-1].__getitem__, ["a", "b"], before=matrix.references())
    assert report.changes["a"].value == whole.changes["a"].value
    assert report.changes["a"].low == pytest.approx(whole.changes["a"].low, abs=0.03)
    assert report.nll_changes["a"].high == pytest.approx(whole.nll_changes["a"].high, abs=0.03)
    assert isinstance(report.scores["b"], TaskScores)
