import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import multi_step
from tests.optim.parity import assert_their_rates, plans, rates, scheduled


@plans("step", "multi_step")
def test_they_are_pytorchs(plan):
    assert_their_rates(plan)


def test_milestones_count_from_the_end_of_the_warm_up():
    section = {"name": "multi_step", "milestones": [2], "warmup_epochs": 1.0}
    found = rates(scheduled(section, 20, steps_per_epoch=5), 20)
    assert found[[4, 5, 14]] == pytest.approx([0.24, 0.3, 0.3])
    assert found[15:] == pytest.approx([0.03] * 5)


@pytest.mark.parametrize("milestones", [(3, 2), (3, 3)])
def test_milestones_rise(milestones):
    with pytest.raises(ConfigError, match=r"schedule.milestones: expected numbers that rise"):
        multi_step(0.1, 100, 10, milestones=milestones)
