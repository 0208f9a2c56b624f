import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim.schedules.lengths import in_steps


@pytest.mark.parametrize(
    ("length", "unit", "steps"),
    [(7, "steps", 7), (3, "epochs", 123), (0.5, "epochs", 20), (0.25, "fraction", 50)],
)
def test_each_unit_comes_to_steps(length, unit, steps):
    assert in_steps(length, unit, 200, 41, "schedule.every") == steps


def test_epochs_want_to_be_known():
    with pytest.raises(ConfigError, match=r"schedule.every: counts epochs.* steps_per_epoch="):
        in_steps(1, "epochs", 200, None, "schedule.every")


def test_what_comes_to_no_step_is_refused():
    with pytest.raises(ConfigError, match=r"schedule.every: expected one step .* found 0.001"):
        in_steps(0.001, "fraction", 200, 41, "schedule.every")
