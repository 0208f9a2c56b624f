"""Tests of jaxtrain.retention.transfer: by hand, and what must hold of any scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxtrain.errors import DataError
from jaxtrain.retention import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    general_ability,
)
from tests.retention.small import TABLE

R = np.array([TABLE[name] for name in "abc"]).T / 4
"""
        a     b     c
base   0.25  0.5   0
first  1     0.25  0.25
second 0.5   0.75  0.5
third  0.25  0.5   1
"""


def scores(phases):
    return arrays(np.float64, (phases + 1, phases), elements=st.floats(0, 1))


any_scores = st.integers(2, 6).flatmap(scores)


def test_by_hand():
    assert average_accuracy(R) == pytest.approx((0.25 + 0.5 + 1) / 3)
    assert backward_transfer(R) == pytest.approx(((0.25 - 1) + (0.5 - 0.75)) / 2)
    assert forgetting(R) == pytest.approx(((1 - 0.25) + (0.75 - 0.5)) / 2)
    assert forward_transfer(R) == pytest.approx(((0.25 - 0.5) + (0.5 - 0)) / 2)
    assert general_ability(np.array([[0.75, 0.5], [0, 0], [0.5, 1]])) == pytest.approx(0.125)


def test_forgetting_counts_what_the_base_could_do():
    r = np.array([[0.9, 0], [0.5, 0], [0.4, 1]])
    assert forgetting(r) == pytest.approx(0.5)
    assert backward_transfer(r) == pytest.approx(-0.1)


def test_forgetting_is_below_zero_where_the_last_phase_was_the_best():
    assert forgetting(np.array([[0.1, 0], [0.5, 0], [0.7, 1]])) == pytest.approx(-0.2)


def test_a_row_that_was_not_evaluated_is_never_the_best():
    r = R.copy()
    r[1, 1] = np.nan
    assert forgetting(r) == forgetting(R)


@given(any_scores)
def test_forgetting_is_at_least_what_backward_transfer_says(r):
    """The best row is as good as the task's own."""
    assert forgetting(r) >= -backward_transfer(r) - 1e-12


@given(any_scores)
def test_ranges(r):
    assert 0 <= average_accuracy(r) <= 1
    for figure in (backward_transfer, forgetting, forward_transfer, general_ability):
        assert -1 - 1e-12 <= figure(r) <= 1 + 1e-12


@given(any_scores)
def test_what_never_changes_has_neither_forgetting_nor_transfer(r):
    still = np.broadcast_to(r[0], r.shape)
    for figure in (backward_transfer, forgetting, forward_transfer, general_ability):
        assert figure(still) == 0


@given(any_scores, st.data())
def test_only_named_cells_are_read(r, data):
    """BWT reads the diagonal and the last row, ACC the last, FWT the base and what is before."""
    phases = r.shape[1]
    read = {
        average_accuracy: {(phases, j) for j in range(phases)},
        backward_transfer: {(k, j) for j in range(phases - 1) for k in (j + 1, phases)},
        forward_transfer: {(k, j) for j in range(1, phases) for k in (0, j)},
        forgetting: {(k, j) for j in range(phases - 1) for k in range(phases + 1)},
    }
    cell = data.draw(st.tuples(st.integers(0, phases), st.integers(0, phases - 1)))
    changed = r.copy()
    changed[cell] = 2.0  # more than any score, so it can't be overlooked
    for figure, cells in read.items():
        assert (figure(changed) != figure(r)) == (cell in cells), figure.__name__


@given(any_scores, any_scores)
def test_many_at_once_are_each_alone(r, other):
    if r.shape != other.shape:
        other = r[::-1].copy()
    both = np.stack([r, other])
    for figure in (average_accuracy, backward_transfer, forgetting, forward_transfer):
        assert figure(both).shape == (2,)
        np.testing.assert_allclose(figure(both), [figure(r), figure(other)], atol=1e-12)


@pytest.mark.parametrize("figure", [backward_transfer, forgetting, forward_transfer])
def test_one_phase_has_no_transfer(figure):
    with pytest.raises(DataError, match=r"T of at least 2, found \(2, 1\)"):
        figure(np.zeros((2, 1)))
    assert average_accuracy(np.array([[0.0], [0.5]])) == 0.5


@pytest.mark.parametrize("figure", [average_accuracy, backward_transfer])
def test_another_shape_is_refused(figure):
    with pytest.raises(DataError, match=r"expected \[..., T \+ 1, T\]"):
        figure(np.zeros((3, 3)))


def test_no_untrained_suite_has_no_general_ability():
    with pytest.raises(DataError, match="at least one untrained suite"):
        general_ability(np.zeros((3, 0)))
