import pytest

from jaxtrain.config import ScheduleSection
from jaxtrain.errors import ConfigError
from jaxtrain.optim import SCHEDULES, make_schedule, warmed_up
from jaxtrain.optim.warmup import warmup_length
from tests.optim.parity import rates, scheduled

FACTOR = {"exponential": {"factor": 0.9}, "step": {"every": 1}, "multi_step": {"milestones": [1]}}
OTHERS = [n for n in SCHEDULES.names() if n not in ("chain", "one_cycle")]


@pytest.mark.parametrize("name", OTHERS)
def test_there_is_one_before_every_schedule(name):
    options = FACTOR.get(name, {"first": 1} if name == "sgdr" else {})
    section = {"name": name, "warmup_steps": 4, "warmup_from": 0.2, **options}
    found = rates(scheduled(section, 24, steps_per_epoch=10), 24)
    assert found[:5] == pytest.approx([0.06, 0.12, 0.18, 0.24, 0.3])
    without = scheduled({"name": name, **options}, 20, steps_per_epoch=10)
    behind = rates(without, 20) if callable(without) else [without] * 20
    assert found[4:] == pytest.approx(behind)


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        ({}, 0),
        ({"warmup_steps": 7}, 7),
        ({"warmup_epochs": 1.5}, 15),
        ({"warmup_fraction": 0.25}, 25),
    ],
)
def test_its_length_can_be_said_in_three_ways(said, steps):
    assert warmup_length(ScheduleSection(**said), 100, 10) == steps


def test_the_schedule_behind_it_gets_the_steps_that_are_left():
    found = rates(scheduled({"name": "linear", "warmup_fraction": 0.5}, 20), 20)
    assert found == pytest.approx(
        [0.03 * n for n in range(10)] + [0.03 * n for n in range(10, 0, -1)]
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"warmup_steps": 100}, "warmup_steps: expected less than the 100 steps .* found 100;"),
        ({"warmup_steps": 101}, "warmup_steps: expected less than the 100 steps .* found 101;"),
        ({"warmup_epochs": 10.0}, "warmup_epochs: expected less .* found 10.0, which is 100"),
        ({"warmup_epochs": 0.01}, "warmup_epochs: expected one step at least, found 0.01"),
        ({"warmup_fraction": 0.999}, "warmup_fraction: expected less .* found 0.999, which is 100"),
    ],
)
def test_one_that_does_not_fit_the_run_is_refused(said, message):
    with pytest.raises(ConfigError, match=f"schedule.{message}"):
        warmup_length(ScheduleSection(**said), 100, 10)


def test_epochs_want_to_be_known():
    with pytest.raises(ConfigError, match=r"schedule.warmup_epochs: counts epochs"):
        make_schedule(ScheduleSection(warmup_epochs=1.0), 0.1, 100)


def test_two_lengths_are_refused_in_a_section_of_any_kind():
    class Section:
        name, warmup_steps, warmup_fraction = "constant", 3, 0.1

    with pytest.raises(ConfigError, match=r"expected one of .*'warmup_fraction': 0.1"):
        warmup_length(Section(), 100, 10)


def test_in_python_it_goes_before_any_schedule():
    found = rates(warmed_up(0.4, peak=0.4, steps=2, start=0.5), 4)
    assert found == pytest.approx([0.2, 0.3, 0.4, 0.4])
