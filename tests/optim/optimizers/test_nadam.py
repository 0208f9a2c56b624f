import pytest

from jaxtrain.optim import nadam, nadamw
from tests.optim.parity import assert_theirs, cases, trajectory


@cases("nadam", "nadamw")
def test_they_are_pytorchs(case):
    assert_theirs(case)


def test_without_weight_decay_they_are_one():
    one, other = (trajectory(make(0.01, weight_decay=0.0), 3) for make in (nadam, nadamw))
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize("make", [nadam, nadamw])
def test_weight_decay_is_of_effect(make):
    one, other = (trajectory(make(0.01, weight_decay=decay), 2) for decay in (0.0, 0.1))
    assert all((one[name] != other[name]).any() for name in one)
