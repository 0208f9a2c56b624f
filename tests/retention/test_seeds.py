"""Tests of jaxtrain.retention.seeds."""

import dataclasses

import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.retention import RetentionMatrix, RetentionReport, compared, summary
from jaxtrain.retention.seeds import mean_of_seeds
from tests.retention.small import matrix, questions


def report(last, joint=None):
    """Two phases; in the end so many of the questions of the first are right."""
    rows = (
        {"a": questions(0), "b": questions(0), "t": questions(4)},
        {"a": questions(4), "b": questions(1), "t": questions(4)},
        {"a": questions(last), "b": questions(4), "t": questions(last)},
    )
    built = RetentionMatrix(tasks=("a", "b"), untrained=("t",), rows=rows)
    return RetentionReport.of(built, joint=joint, control="t", resamples=100)


def test_means_over_seeds():
    found = summary([report(0), report(1), report(2)])
    assert found.seeds == 3
    assert found.backward_transfer.value == pytest.approx(-0.75)
    # 0, 1 and 2 of 4: a deviation of 0.25, t of two degrees 4.303.
    half = 4.302652729 * 0.25 / np.sqrt(3)
    assert found.backward_transfer.high == pytest.approx(-0.75 + half)
    assert found.backward_transfer.low == pytest.approx(-0.75 - half)
    assert found.average_accuracy.value == pytest.approx((0.25 + 1) / 2)
    assert found.general_ability.value == pytest.approx(-0.75)
    assert found.changes["a"] == found.backward_transfer
    assert found.changes["t"].value == pytest.approx(-0.75)
    assert [row["a"].value for row in found.scores] == [0, 1, pytest.approx(0.25)]
    assert found.control_loss.value == 0


def test_the_joint_trainings_have_a_mean_where_all_seeds_have_one():
    both = [report(0, {"a": questions(n), "b": questions(4)}) for n in (2, 4)]
    assert summary(both).joint_average.value == pytest.approx((0.75 + 1) / 2)
    assert summary([both[0], report(0)]).joint_average is None
    assert summary([both[0], report(0, {"a": questions(2)})]).joint_average is None


def test_a_figure_that_one_report_lacks_is_none():
    one = dataclasses.replace(report(1), forward_transfer=None)
    found = summary([one, report(1)])
    assert found.forward_transfer is None
    assert found.forgetting.value == 0.75
    holed = dataclasses.replace(report(1), changes={"t": report(1).changes["t"]})
    assert summary([report(1), holed]).changes.keys() == {"t"}
    assert summary([holed, report(1)]).changes.keys() == {"t"}


def test_equal_seeds_have_no_spread():
    assert summary([report(1), report(1)]).forgetting == (0.75, 0.75, 0.75)


def test_what_a_protection_is_worth_is_told_seed_by_seed():
    """The seeds differ by more than the protection helps, and yet it helps in each by the same."""
    plain, protected = [report(n) for n in (0, 1, 2)], [report(n) for n in (1, 2, 3)]
    found = compared(protected, plain)
    assert found["backward_transfer"].value == pytest.approx(0.25)
    assert found["backward_transfer"].low > 0.2
    assert found["forgetting"].value == pytest.approx(-0.25)
    assert found["change/a"].value == pytest.approx(0.25)
    assert found["change/t"].value == pytest.approx(0.25)
    assert found["control_loss"].value == 0
    assert summary(protected).backward_transfer.low < summary(plain).backward_transfer.high


def test_a_figure_that_one_side_lacks_is_left_out():
    holed = dataclasses.replace(report(1), forward_transfer=None, changes={})
    found = compared([report(1), report(1)], [report(1), holed])
    assert "forward_transfer" not in found
    assert "change/a" not in found
    assert "forgetting" in found


@pytest.mark.parametrize("reports", [[], [report(1)]])
def test_one_seed_says_nothing_of_seeds(reports):
    with pytest.raises(DataError, match=f"two seeds or more, found {len(reports)}"):
        summary(reports)
    with pytest.raises(DataError, match="two seeds or more"):
        compared(reports, reports)


def test_other_phases_are_refused():
    other = RetentionReport.of(matrix(), resamples=100)
    with pytest.raises(DataError, match=r"tasks: number 0 has \('a', 'b'\), number 1 has"):
        summary([report(1), other])
    renamed = dataclasses.replace(report(1), control=None)
    with pytest.raises(DataError, match="control: number 0 has 't', number 1 has None"):
        summary([report(1), renamed])
    with pytest.raises(DataError, match="as many of each, of the same seeds, found 2 and 3"):
        compared([report(1)] * 2, [report(1)] * 3)


def test_the_mean_lies_between_the_ends():
    found = mean_of_seeds([0.1, 0.4, -0.2, 0.3])
    assert found.value == pytest.approx(0.15)
    assert found.low < found.value < found.high
